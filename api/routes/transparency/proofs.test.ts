import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readCosignatures } from '../../../attestation/log/cosignatures.ts';
import { generateLogKey } from '../../../attestation/keys/log-key.ts';
import { nodeVerifiers } from '../../../attestation/keys/node-verifiers.ts';
import { fromHex } from '../../../domain/encoding.ts';
import { cosign, cosignerKey } from '../../../domain/log/cosignature.ts';
import { treeHash } from '../../../domain/log/hash.ts';
import { parseNote } from '../../../domain/log/note.ts';
import { verifyInclusion } from '../../../domain/log/proof.ts';
import { addCosignatures } from '../../../store/log-cosignatures.ts';
import type { Pool } from '../../../store/pool.ts';
import { testApi } from '../../../test/support/api.ts';
import { putPending } from '../../../test/support/pending.ts';
import { operator, servedEntries, T, type ServedEntries } from '../../../test/support/served-entries.ts';

const hash = treeHash(nodeVerifiers.sha256);
let stand: ServedEntries;
const proof = (what: string, headers: Record<string, string> = {}) =>
  stand.api.get(`${T}/proof?${what}`, headers);

beforeAll(async () => {
  stand = await servedEntries();
});
afterAll(() => stand[Symbol.asyncDispose]());

/** The same database behind another app, and which statements that one made. */
async function counted() {
  const { pool } = stand.api.db;
  const statements: string[] = [];
  const query = (...of: Parameters<Pool['query']>): unknown => {
    const [text] = of as unknown as [string | { name?: string; text: string }];
    statements.push(typeof text === 'string' ? text : (text.name ?? text.text));
    return (pool.query as (...of: unknown[]) => unknown).apply(pool, of);
  };
  const spied = Object.assign(Object.create(pool) as Pool, { query });
  const { app } = await testApi({ pool: spied });
  const ask = async (what: string) => (await app.inject(`${T}/proof?${what}`)).body;
  return { ask, statements };
}

test('what was asked for before is answered by the one look that all share, and as before', async () => {
  const { ask, statements } = await counted();
  const [execution] = await stand.executionsOf(stand.job);
  const asked = ['index=300', `execution_id=${execution!.id}`, `ipfs_cid=${execution!.ipfs_cid}`];
  const first = [];
  for (const what of asked) first.push(await ask(what));
  statements.length = 0;
  for (const [i, what] of asked.entries()) expect(await ask(what)).toBe(first[i]);
  expect(statements).toEqual(['logs now', 'logs now', 'logs now']);

  statements.length = 0;
  const many = await Promise.all(Array.from({ length: 30 }, () => ask('index=300')));
  expect(new Set(many)).toEqual(new Set([first[0]]));
  expect(statements.length).toBeLessThan(10);

  // A neighbour in a tile that is known: its row and nothing else.
  statements.length = 0;
  await ask('index=301');
  expect(statements.filter((name) => name !== 'logs now')).toEqual(['find entry by idx', 'provable entry']);
});

describe('an answer that is kept', () => {
  test('has a name by which a client that has it is told so, another in each form', async () => {
    const json = await proof('index=12');
    const text = await proof('index=12', { accept: 'text/plain' });
    expect(json.headers.etag).not.toBe(text.headers.etag);
    for (const [headers, answer] of [
      [{}, json],
      [{ accept: 'text/plain' }, text],
    ] as const) {
      const again = await proof('index=12', { ...headers, 'if-none-match': String(answer.headers.etag) });
      expect(again).toMatchObject({ status: 304, text: '', headers: { etag: answer.headers.etag } });
      expect(again.headers['cache-control']).toBe('no-cache');
    }
    const other = await proof('index=12', { 'if-none-match': String(text.headers.etag) });
    expect([other.status, other.text]).toEqual([200, json.text]);
  });

  test('gives way when the log grows', async () => {
    const [execution] = await stand.executionsOf(stand.job);
    const asked = ['index=605', `execution_id=${execution!.id}`];
    for (let size = stand.size + 1; size <= stand.size + 4; size++) {
      const before = [];
      for (const what of asked) before.push(await proof(what));
      await putPending(stand.api.db.pool, stand.log.head.logId, [
        { leaf: randomBytes(40), keyId: stand.keyId },
      ]);
      await stand.shown(size);
      for (const [i, what] of asked.entries()) {
        const { json, headers } = await proof(what, { 'if-none-match': String(before[i]!.headers.etag) });
        expect(json.tree_size).toBe(size);
        expect(json.leaf_index).toBe(before[i]!.json.leaf_index);
        expect(headers.etag).not.toBe(before[i]!.headers.etag);
        const claim = {
          index: json.leaf_index as number,
          size,
          leafHash: hash.leaf(Buffer.from(json.leaf as string)),
          proof: (json.hashes as string[]).map((text) => fromHex(text)!),
        };
        if (i === 1) expect(verifyInclusion(claim, fromHex(json.root as string)!, hash)).toBe(true);
      }
    }
  });

  test('gives way to one with a cosignature that came later', async () => {
    const { json: before } = await proof('index=20');
    expect((await proof('index=20')).json).toEqual(before);
    const note = before.checkpoint as string;
    const key = generateLogKey().signerFor('witness.example');
    const cosigner = cosignerKey(key.name, key.publicKey, nodeVerifiers.sha256);
    const cosigned = async (second: number) => {
      const line = await cosign(parseNote(note).text, second, { ...cosigner, sign: key.sign });
      const lines = readCosignatures(note, line, [cosigner]);
      await addCosignatures(stand.api.db.pool, stand.log.head.logId, before.tree_size as number, lines);
      return line.trimEnd();
    };
    for (const second of [1_700_000_000, 1_700_000_060]) {
      const line = await cosigned(second);
      const { json } = await proof('index=20');
      expect((json.cosignatures as { line: string }[]).map((one) => one.line)).toEqual([line]);
      expect(json.tlog_proof).toContain(line);
    }
  });

  test('is not shown to somebody who may see less, nor less to somebody who may see more', async () => {
    const [hidden] = await stand.executionsOf(stand.hidden);
    const { json: seen } = await proof(`execution_id=${hidden!.id}`, operator);
    const index = `index=${seen.leaf_index as number}`;
    for (let time = 0; time < 2; time++) {
      expect((await proof(index)).json).not.toHaveProperty('execution_id');
      expect((await proof(index, operator)).json.execution_id).toBe(hidden!.id);
      expect((await proof(`execution_id=${hidden!.id}`)).status).toBe(404);
      expect((await proof(`execution_id=${hidden!.id}`, operator)).status).toBe(200);
    }
  });

  test('does not hide that two keys name two entries', async () => {
    const [one, two] = await stand.executionsOf(stand.job);
    for (const what of [`execution_id=${one!.id}`, `ipfs_cid=${two!.ipfs_cid}`])
      expect((await proof(what)).status).toBe(200);
    for (let time = 0; time < 2; time++) {
      expect(await proof(`execution_id=${one!.id}&ipfs_cid=${two!.ipfs_cid}`)).toMatchObject({
        status: 409,
        json: { code: 'proof_subjects_disagree' },
      });
    }
  });

  test('is of the checkpoint that was asked for', async () => {
    const sizes = (await stand.checkpoints()).map((one) => one.tree_size);
    for (let time = 0; time < 2; time++) {
      for (const size of sizes.filter((one) => one > 3))
        expect((await proof(`index=3&tree_size=${size}`)).json.tree_size).toBe(size);
      expect((await proof('index=3')).json.tree_size).toBe(sizes[0]);
    }
  });
});
