import { createPublicKey } from 'node:crypto';
import { bundleFromJSON } from '@sigstore/bundle';
import { TrustedRoot } from '@sigstore/protobuf-specs';
import { toSignedEntity, toTrustMaterial, Verifier } from '@sigstore/verify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nodeVerifiers } from '../../../attestation/keys/node-verifiers.ts';
import { fromHex } from '../../../domain/encoding.ts';
import { treeHash } from '../../../domain/log/hash.ts';
import { verifyInclusion } from '../../../domain/log/proof.ts';
import { decodeEntryBundle } from '../../../domain/log/tile.ts';
import { parseTlogProof } from '../../../domain/log/tlog-proof.ts';
import { T, operator, servedEntries, type ServedEntries } from '../../../test/support/served-entries.ts';

const hash = treeHash(nodeVerifiers.sha256);
const bytes = (text: string) => fromHex(text)!;
let stand: ServedEntries;
let api: ServedEntries['api'];
let log: ServedEntries['log'];
let job: ServedEntries['job'];
let hidden: ServedEntries['hidden'];
let late: ServedEntries['late'];
let size: ServedEntries['size'];

beforeAll(async () => {
  stand = await servedEntries();
  ({ api, log, job, hidden, late, size } = stand);
});
afterAll(() => stand[Symbol.asyncDispose]());

interface ListedEntry {
  leaf_index: number;
  leaf_hash: string;
  leaf: string;
  execution_id: string | null;
}

describe('a proof', () => {
  test('comes in every form, and under any kept checkpoint that covers it', async () => {
    const [execution] = await stand.executionsOf(job);
    const url = `${T}/proof?execution_id=${execution!.id}`;
    const { json, headers } = await api.get(url);
    expect(headers.vary).toContain('Accept');
    expect(json.cosignatures).toEqual([]);
    const text = await api.get(url, { accept: 'text/plain' });
    expect(text).toMatchObject({ status: 200, text: json.tlog_proof });
    expect(text.headers['content-type']).toBe('text/plain; charset=utf-8');
    for (const { tree_size: treeSize, root } of await stand.checkpoints()) {
      const answer = await api.get(`${url}&tree_size=${treeSize}`);
      if (treeSize <= json.leaf_index) {
        expect(answer).toMatchObject({ status: 404, json: { code: 'proof_not_found' } });
        continue;
      }
      const { index, proof } = parseTlogProof(answer.json.tlog_proof);
      const claim = { index, size: treeSize, leafHash: bytes(json.leaf_hash), proof };
      expect(verifyInclusion(claim, bytes(root), hash), String(treeSize)).toBe(true);
    }
    expect(await api.get(`${url}&tree_size=400`)).toMatchObject({
      status: 404,
      json: { code: 'checkpoint_not_found' },
      headers: { 'cache-control': 'no-store' },
    });
  });

  test("as a Sigstore bundle convinces Sigstore's own verifier with the published trusted root", async () => {
    const description = (await api.get('/.well-known/beacon-log.json')).json;
    const [key] = description.receipt_keys;
    const trust = toTrustMaterial(TrustedRoot.fromJSON(description.trusted_root), (hint) => {
      expect(hint).toBe(key.key_id);
      return { publicKey: createPublicKey(key.public_key as string), validFor: () => true };
    });
    const verifier = new Verifier(trust, { tlogThreshold: 1, timestampThreshold: 0, ctlogThreshold: 0 });
    const [execution] = await stand.executionsOf(job);
    const { summary_cid: summary } = (await api.get(`/api/v1/jobs/${job}`)).json.job;
    for (const subject of [`execution_id=${execution!.id}`, `ipfs_cid=${summary}`, 'index=0']) {
      const { sigstore_bundle: bundle } = (await api.get(`${T}/proof?${subject}`)).json;
      expect(() => verifier.verify(toSignedEntity(bundleFromJSON(bundle))), subject).not.toThrow();
      const { inclusionProof } = bundle.verificationMaterial.tlogEntries[0];
      inclusionProof.hashes = (inclusionProof.hashes as string[]).slice(1);
      expect(() => verifier.verify(toSignedEntity(bundleFromJSON(bundle))), subject).toThrow();
    }
  });

  test("tells of a private job's entry the leaf alone", async () => {
    const [secret] = await stand.executionsOf(hidden);
    const { leaf_index: index } = (await api.get(`${T}/proof?execution_id=${secret!.id}`, operator)).json;
    const { json } = await api.get(`${T}/proof?index=${index}`);
    expect(json).not.toHaveProperty('sigstore_bundle');
    expect((await api.get(`${T}/proof?index=${index}`, operator)).json.sigstore_bundle).toBeTruthy();
  });

  test('waits for an entry that is on its way, and not longer than asked', async () => {
    const [execution] = await stand.executionsOf(late);
    const url = `${T}/proof?execution_id=${execution!.id}`;
    expect((await api.get(url)).status).toBe(404);
    const started = performance.now();
    expect((await api.get(`${url}&wait=1`)).status).toBe(404);
    expect(performance.now() - started).toBeGreaterThan(900);
    const waiting = [api.get(`${url}&wait=5`), api.get(`${T}/proof?index=${size}&wait=5`)];
    await log.endJob(late);
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([200, 200]);
    expect(await api.get(`${url}&wait=6`)).toMatchObject({
      status: 400,
      json: { details: { field: 'wait' } },
    });
    await stand.shown(size + 4);
    size += 4;
  });
});

describe('entries', () => {
  test('of a job are all that the log holds about it, and the tiles hold the same', async () => {
    const { json } = await api.get(`${T}/entries?job_id=${job}`);
    expect(json.tree_size).toBe(size);
    const executions = await stand.executionsOf(job);
    const entries = json.entries as ListedEntry[];
    expect(entries.map((entry) => entry.execution_id)).toEqual([...executions.map(({ id }) => id), null]);
    for (const { leaf_index: index, leaf, leaf_hash: leafHash } of entries) {
      const bundle = decodeEntryBundle((await api.get('/tile/entries/000')).raw);
      expect(Buffer.from(bundle[index]!).toString()).toBe(leaf);
      expect(Buffer.from(hash.leaf(bundle[index]!)).toString('hex')).toBe(leafHash);
    }
    const [first] = executions;
    for (const subject of [`execution_id=${first!.id}`, `ipfs_cid=${first!.ipfs_cid}`]) {
      expect((await api.get(`${T}/entries?${subject}`)).json.entries, subject).toEqual([entries[0]]);
    }
  });

  test('come page after page, and as they stood under an older checkpoint', async () => {
    const all = (await api.get(`${T}/entries?job_id=${job}`)).json.entries as ListedEntry[];
    const found: ListedEntry[] = [];
    for (let after = ''; ;) {
      const { json } = await api.get(`${T}/entries?job_id=${job}&limit=3${after}`);
      found.push(...(json.entries as ListedEntry[]));
      if (json.next_after === null) break;
      after = `&after=${json.next_after}`;
    }
    expect(found).toEqual(all);
    const older = (await stand.checkpoints()).find((one) => one.tree_size <= all.at(-1)!.leaf_index);
    if (older === undefined) return;
    const { json } = await api.get(`${T}/entries?job_id=${job}&tree_size=${older.tree_size}`);
    expect(json.checkpoint).toBe(older.checkpoint);
    expect(json.entries).toEqual(all.filter((entry) => entry.leaf_index < older.tree_size));
  });

  test('of a private job and of an unknown one are the same to a stranger', async () => {
    const [hiddenAnswer, unknown] = await Promise.all(
      [hidden, 'nobody'].map(
        async (id) => (await api.get(`${T}/entries?job_id=${id}`)).json as { entries: unknown[] },
      ),
    );
    expect(hiddenAnswer).toEqual(unknown);
    expect(unknown!.entries).toEqual([]);
    expect((await api.get(`${T}/entries?job_id=${hidden}`, operator)).json.entries).toHaveLength(4);
    const [secret] = await stand.executionsOf(hidden);
    expect((await api.get(`${T}/entries?execution_id=${secret!.id}`)).json.code).toBe('proof_not_found');
  });

  test('are asked for by one name', async () => {
    for (const query of ['', `job_id=${job}&ipfs_cid=x`, 'job_id=']) {
      expect(await api.get(`${T}/entries?${query}`), query).toMatchObject({
        status: 400,
        json: { code: 'validation_error' },
      });
    }
  });
});
