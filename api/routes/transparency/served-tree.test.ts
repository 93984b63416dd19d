import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generateLogKey } from '../../../attestation/keys/log-key.ts';
import { nodeVerifiers } from '../../../attestation/keys/node-verifiers.ts';
import { readCosignatures } from '../../../attestation/log/cosignatures.ts';
import { fromHex } from '../../../domain/encoding.ts';
import { openCheckpoint } from '../../../domain/log/checkpoint.ts';
import { cosign, cosignerKey } from '../../../domain/log/cosignature.ts';
import { parseNote } from '../../../domain/log/note.ts';
import { treeHash } from '../../../domain/log/hash.ts';
import { verifyConsistency } from '../../../domain/log/proof.ts';
import { decodeEntryBundle } from '../../../domain/log/tile.ts';
import { parseTlogProof } from '../../../domain/log/tlog-proof.ts';
import { parseVkey } from '../../../domain/log/vkey.ts';
import { addCosignatures, setPolicy } from '../../../store/log-cosignatures.ts';
import { createPool } from '../../../store/pool.ts';
import { testApi } from '../../../test/support/api.ts';
import { T, servedEntries, type ServedEntries } from '../../../test/support/served-entries.ts';

const hash = treeHash(nodeVerifiers.sha256);
const bytes = (text: string) => fromHex(text)!;
let stand: ServedEntries;
let api: ServedEntries['api'];
let log: ServedEntries['log'];
let keyId: ServedEntries['keyId'];
let size: ServedEntries['size'];

beforeAll(async () => {
  stand = await servedEntries();
  ({ api, log, keyId, size } = stand);
});
afterAll(() => stand[Symbol.asyncDispose]());

describe('checkpoints and consistency', () => {
  test('every signed head is listed once, newest first, and each follows from every one before', async () => {
    const all = await stand.checkpoints();
    const sizes = all.map((one) => one.tree_size);
    expect(sizes).toEqual([...new Set(sizes)].sort((a, b) => b - a));
    expect(sizes[0]).toBe(size);
    expect(sizes.length).toBeGreaterThan(2);
    const { vkeys } = (await api.get('/.well-known/beacon-log.json')).json;
    const keys = (vkeys as string[]).map((vkey) => parseVkey(vkey, nodeVerifiers.sha256));
    for (const [i, newer] of all.entries()) {
      const signed = openCheckpoint(newer.checkpoint, keys, nodeVerifiers);
      expect(signed).toMatchObject({ size: newer.tree_size, origin: log.head.origin });
      expect(Buffer.from(signed.root).toString('hex')).toBe(newer.root);
      for (const older of all.slice(i)) {
        const { json } = await api.get(`${T}/consistency?from=${older.tree_size}&to=${newer.tree_size}`);
        const claim = {
          from: older.tree_size,
          to: newer.tree_size,
          fromRoot: bytes(older.root),
          toRoot: bytes(newer.root),
          proof: (json.hashes as string[]).map(bytes),
        };
        expect(verifyConsistency(claim, hash), `${older.tree_size} → ${newer.tree_size}`).toBe(true);
        expect(json).toMatchObject({ from_root: older.root, to_root: newer.root });
      }
    }
  });

  test('sizes without a checkpoint are proven too, the empty log by nothing', async () => {
    const { json } = await api.get(`${T}/consistency?from=300`);
    expect(json).toMatchObject({ from: 300, to: size });
    const claim = {
      from: 300,
      to: size,
      fromRoot: bytes(json.from_root),
      toRoot: bytes(json.to_root),
      proof: (json.hashes as string[]).map(bytes),
    };
    expect(verifyConsistency(claim, hash)).toBe(true);
    expect((await api.get(`${T}/consistency?from=0&to=7`)).json).toMatchObject({
      hashes: [],
      from_root: createHash('sha256').digest('hex'),
    });
  });

  test('a proof between named sizes is good for ever and for any page; the newest is not', async () => {
    const headers = { origin: 'https://auditor.example' };
    const named = await api.get(`${T}/consistency?from=1&to=9`, headers);
    expect(named.headers).toMatchObject({ 'access-control-allow-origin': '*' });
    expect(named.headers['cache-control']).toContain('immutable');
    expect((await api.get(`${T}/consistency?from=1`)).headers['cache-control']).toBe('no-cache');
  });

  test('what is no proof is refused by name', async () => {
    const cases: [string, number, string][] = [
      ['consistency', 400, 'validation_error'],
      ['consistency?from=9&to=1', 400, 'validation_error'],
      ['consistency?from=-1&to=1', 400, 'validation_error'],
      ['consistency?from=1&to=x', 400, 'validation_error'],
      ['consistency?from=1&to=610', 404, 'size_beyond_log'],
      ['consistency?from=9007199254740991', 404, 'size_beyond_log'],
      ['checkpoints?before=0', 400, 'validation_error'],
    ];
    for (const [path, status, code] of cases) {
      expect(await api.get(`${T}/${path}`), path).toMatchObject({ status, json: { code } });
    }
    for (const [query, said] of [
      ['', 'from: is required'],
      ['from=1&from=2', 'from: stands there more than once'],
      ['from=-1', 'from: must be a whole number, 0 or more'],
      ['from=99999999999999999999', 'from: must be a whole number, 0 or more'],
    ] as const)
      expect((await api.get(`${T}/consistency?${query}`)).json.error, query).toBe(said);
  });
});

describe('tiles', () => {
  const page = { origin: 'https://auditor.example' };

  test('of every published size hold the same leaves, partial or full', async () => {
    for (const { tree_size: treeSize, root } of await stand.checkpoints()) {
      const leaves: Uint8Array[] = [];
      for (let index = 0; index * 256 < treeSize; index++) {
        const width = Math.min(256, treeSize - index * 256);
        const name = `00${index}${width === 256 ? '' : `.p/${width}`}`;
        const entries = decodeEntryBundle((await api.get(`/tile/entries/${name}`)).raw);
        expect(entries).toHaveLength(width);
        leaves.push(...entries.map((entry) => hash.leaf(entry)));
        expect((await api.get(`/tile/0/${name}`)).raw).toEqual(Buffer.concat(leaves.slice(index * 256)));
      }
      const tree = (part: Uint8Array[]): Uint8Array => {
        if (part.length === 1) return part[0]!;
        const split = 2 ** Math.floor(Math.log2(part.length - 1));
        return hash.node(tree(part.slice(0, split)), tree(part.slice(split)));
      };
      expect(Buffer.from(tree(leaves)).toString('hex')).toBe(root);
    }
  });

  test('have the headers of C2SP tlog-tiles; what is not there is not kept', async () => {
    const checkpoint = await api.get('/checkpoint', page);
    expect(checkpoint.headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'cache-control': 'public, max-age=1',
      'access-control-allow-origin': '*',
    });
    for (const path of ['/tile/0/000', '/tile/0/002.p/90', '/tile/1/000.p/2', '/tile/entries/001']) {
      const tile = await api.get(path, page);
      expect(tile.headers, path).toMatchObject({
        'content-type': 'application/octet-stream',
        'cache-control': 'public, max-age=31536000, immutable',
        'access-control-allow-origin': '*',
      });
      const { etag } = tile.headers;
      expect(await api.get(path, { 'if-none-match': String(etag) }), path).toMatchObject({
        status: 304,
        headers: { etag, 'cache-control': 'public, max-age=31536000, immutable' },
      });
      const head = await api.app.inject({ method: 'HEAD', url: path });
      expect([head.statusCode, head.headers['content-length'], head.rawPayload.length], path).toEqual([
        200,
        String(tile.raw.length),
        0,
      ]);
    }
    for (const path of [
      '0/003',
      '0/000.p/0',
      '0/000.p/256',
      '0/000.p/01',
      '1/000',
      '2/000.p/1',
      '64/000',
      '63/000',
    ]) {
      expect(await api.get(`/tile/${path}`, page), path).toMatchObject({
        status: 404,
        json: { code: 'tile_not_found' },
        headers: { 'cache-control': 'no-store', 'access-control-allow-origin': '*' },
      });
    }
  });
});

test('cosignatures stand in the checkpoint, its history and the text of proofs, and not in what the log signed', async () => {
  const { rows } = await api.db.pool.query<{ note: string }>(
    'select note from log_checkpoints where size = $1',
    [size],
  );
  const { note } = rows[0]!;
  const key = generateLogKey().signerFor('witness.example');
  const cosigner = cosignerKey(key.name, key.publicKey, nodeVerifiers.sha256);
  const line = await cosign(parseNote(note).text, 1_700_000_000, { ...cosigner, sign: key.sign });
  await addCosignatures(api.db.pool, log.head.logId, size, readCosignatures(note, line, [cosigner]));
  const shownAs = {
    name: 'witness.example',
    key_id: Buffer.from(cosigner.id).toString('hex'),
    line: line.trimEnd(),
    signed_at: '2023-11-14T22:13:20.000Z',
  };
  expect((await api.get('/checkpoint')).text).toBe(note + line);
  const { json } = await api.get(`${T}/proof?index=1`);
  expect(json).toMatchObject({ checkpoint: note, cosignatures: [shownAs] });
  expect(parseTlogProof(json.tlog_proof as string).checkpoint).toBe(note + line);
  expect(json.sigstore_bundle.verificationMaterial.tlogEntries[0].inclusionProof.checkpoint.envelope).toBe(
    note,
  );
  const listed = (await api.get(`${T}/checkpoints?limit=2`)).json.checkpoints;
  expect(listed[0]).toMatchObject({ checkpoint: note, cosignatures: [shownAs] });
  expect(listed[1].cosignatures).toEqual([]);
  await setPolicy(api.db.pool, log.head.logId, 'log old+1+x\nwitness w witness.example+1+x\nquorum w\n');
  const { policy, vkeys } = (await api.get('/.well-known/beacon-log.json')).json;
  expect(policy).toBe(`log ${vkeys[0]}\nwitness w witness.example+1+x\nquorum w\n`);
  await setPolicy(api.db.pool, log.head.logId, null);
});

test('the description names keys, policy and paths, and every path is served', async () => {
  const { json, headers } = await api.get('/.well-known/beacon-log.json', {
    origin: 'https://auditor.example',
  });
  expect(headers).toMatchObject({
    'access-control-allow-origin': '*',
    'cache-control': 'public, max-age=60',
  });
  const { vkey } = (await api.get(`${T}/root`)).json;
  expect(json).toMatchObject({
    log_id: log.head.logId,
    origin: log.head.origin,
    vkeys: [vkey],
    former_vkeys: [],
    cosigner_vkey: null,
    receipt_keys: [{ key_id: keyId, ended: false }],
    policy: `log ${vkey}\nquorum none\n`,
  });
  // What Sigstore's tools take for the log's name.
  expect(new URL(json.trusted_root.tlogs[0].baseUrl as string).hostname).toBe(log.head.origin);
  for (const [name, path] of Object.entries(json.paths as Record<string, string>)) {
    const { status } = await api.get(name === 'tiles' ? `${path}0/000` : path);
    expect([200, 400], name).toContain(status);
  }
});

test('a hole in the database is an error, never a shorter answer', async () => {
  const pool = createPool({ databaseUrl: api.db.url, name: 'test tamper', role: null });
  const hashes = '/tile/0/002.p/90';
  const before = await api.get(hashes);
  await pool.query('delete from log_entries where idx = 520');
  // A server that has not read these hashes before.
  const { app } = await testApi({ pool: api.db.pool });
  try {
    for (const url of ['/tile/entries/002.p/90', hashes, `${T}/proof?index=521`]) {
      const answer = await app.inject(url);
      expect([url, answer.statusCode, answer.json<unknown>()]).toEqual([
        url,
        500,
        expect.objectContaining({ code: 'log_damaged' }),
      ]);
    }
    expect((await app.inject('/tile/0/001')).statusCode).toBe(200);
    // One that has goes on to serve what was there.
    expect((await api.get(hashes)).raw).toEqual(before.raw);
  } finally {
    await pool.end();
  }
});
