import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { putPending } from '../../test/support/pending.ts';
import { sequence } from '../../test/support/sequence.ts';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.ts';
import { concatBytes, toHex } from '../../domain/encoding.ts';
import { openCheckpoint } from '../../domain/log/checkpoint.ts';
import { treeHash } from '../../domain/log/hash.ts';
import { verifyConsistency, verifyInclusion } from '../../domain/log/proof.ts';
import { decodeEntryBundle, parseTilePath } from '../../domain/log/tile.ts';
import { parseTlogProof } from '../../domain/log/tlog-proof.ts';
import type { LogHead } from '../../store/log-state.ts';
import { generateLogKey } from '../keys/log-key.ts';
import { nodeSha256, nodeVerifiers } from '../keys/node-verifiers.ts';
import { generateReceiptKey } from '../keys/receipt-key.ts';
import { loadLog, type LoadedLog } from './load.ts';
import { openLog } from './open.ts';
import { registerFirstReceiptKey } from './receipt-keys.ts';
import { createLogReader, type LogReader } from './reader.ts';

const hash = treeHash(nodeSha256);
const key = generateReceiptKey();
const logKey = generateLogKey();

let db: TestDatabase;
let log: LogHead;
let reader: LogReader;

beforeEach(async () => {
  db = await testDatabase();
  log = await openLog(db.pool);
  await registerFirstReceiptKey(db.pool, log.logId, key);
  reader = createLogReader(db.pool, log.logId);
});
afterEach(() => db[Symbol.asyncDispose]());

const load = () => loadLog(db.pool, log.logId, undefined);
const append = (loaded: LoadedLog) => sequence(db.pool, log.logId, loaded, logKey.signerFor(log.origin));
const put = (count: number) =>
  putPending(
    db.pool,
    log.logId,
    Array.from({ length: count }, () => ({ leaf: randomBytes(40), keyId: key.id })),
  );

/** Appends until nothing is pending; the sizes of the checkpoints on the way. */
async function appendAll(): Promise<number[]> {
  const sizes: number[] = [];
  let loaded = await load();
  for (;;) {
    const appended = await append(loaded);
    if (appended.entries === 0) return sizes;
    loaded = appended.log;
    sizes.push(loaded.frontier.size);
  }
}

async function storedLeafHashes(): Promise<Uint8Array[]> {
  const { rows } = await db.pool.query<{ leaf: Buffer }>('select leaf from log_entries order by idx');
  return rows.map(({ leaf }) => hash.leaf(leaf));
}

/** By the definition of RFC 6962 section 2.1, independent of frontier and tiles. */
function naiveRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length <= 1) return leaves[0] ?? hash.empty();
  const split = 2 ** Math.ceil(Math.log2(leaves.length) - 1);
  return hash.node(naiveRoot(leaves.slice(0, split)), naiveRoot(leaves.slice(split)));
}

describe('appending to the log', () => {
  it('makes the start of the receipt key entry 0 and everything pending follows in order', async () => {
    const subjects = await put(3);
    expect(await appendAll()).toEqual([1, 4]);
    const { rows } = await db.pool.query(
      'select idx, subject_kind, subject_id from log_entries order by idx',
    );
    expect(rows).toEqual([
      { idx: 0, subject_kind: 'key', subject_id: key.id },
      ...subjects.map((subject_id, i) => ({ idx: i + 1, subject_kind: 'receipt', subject_id })),
    ]);
    expect((await db.pool.query('select from log_pending')).rowCount).toBe(0);
  });

  it('tells every entry by one event, without gaps', async () => {
    const subjects = await put(2);
    await appendAll();
    const { rows } = await db.pool.query<{
      seq: number;
      payload: Record<string, unknown>;
      execution_id: string | null;
    }>('select seq, payload, execution_id from events where stream = $1 order by seq', [`log:${log.logId}`]);
    const newest = await reader.checkpoint();
    expect(rows.map((row) => row.seq)).toEqual([1, 2, 3]);
    expect(rows.map((row) => row.execution_id)).toEqual([null, ...subjects]);
    expect(rows[2]!.payload).toMatchObject({
      log_id: log.logId,
      log_index: 2,
      tree_size: 3,
      execution_id: subjects[1],
      subject_kind: 'receipt',
      ipfs_cid: `cid-${subjects[1]}`,
      merkle_root: toHex(newest.root),
      root: toHex(newest.root),
      timestamp: expect.any(String),
    });
    const members = ['log_id', 'log_index', 'merkle_root', 'root', 'subject_kind', 'timestamp', 'tree_size'];
    expect(Object.keys(rows[0]!.payload).sort()).toEqual(members);
  });

  it('names the CID of a job summary by its own name: `ipfs_cid` is always that of a receipt', async () => {
    await db.pool.query(
      `insert into log_pending (log_id, subject_kind, subject_id, version, leaf, key_id, cid, job_id, owner, visibility)
       values ($1, 'job', 'job-1', 1, 'leaf', $2, 'cid-of-the-summary', 'job "1" \\', 'its owner', 'private')`,
      [log.logId, key.id],
    );
    await appendAll();
    const { rows } = await db.pool.query<{ payload: object }>(
      'select payload, job_id, owner, visibility from events order by seq desc',
    );
    expect(rows[0]).toMatchObject({ job_id: 'job "1" \\', owner: 'its owner', visibility: 'private' });
    expect(rows[0]!.payload).toMatchObject({
      subject_kind: 'job',
      summary_cid: 'cid-of-the-summary',
      job_id: 'job "1" \\',
    });
    expect(rows[0]!.payload).not.toHaveProperty('ipfs_cid');
  });

  it('in batches gives tiles, proofs and checkpoints that an independent tree confirms', async () => {
    await put(2_100);
    const sizes = await appendAll();
    expect(sizes).toEqual([1, 1_025, 2_049, 2_101]);
    // The feed follows the ids of the events.
    const told = await db.pool.query<{ seq: number; index: number }>(
      `select seq, (payload ->> 'log_index')::int as index from events order by id`,
    );
    expect(told.rows).toEqual(Array.from({ length: 2_101 }, (_, index) => ({ seq: index + 1, index })));
    const leaves = await storedLeafHashes();
    const keys = [logKey.signerFor(log.origin)];
    for (const size of sizes) {
      const { note, root } = await reader.checkpoint(size);
      expect(openCheckpoint(note, keys, nodeVerifiers)).toMatchObject({ origin: log.origin, size });
      expect(toHex(root)).toBe(toHex(naiveRoot(leaves.slice(0, size))));
      expect(toHex(await reader.rootAt(size))).toBe(toHex(root));
    }

    for (const size of sizes) {
      const checkpoint = await reader.checkpoint(size);
      const indexes = leaves.slice(0, size).map((_, index) => index);
      for (const { index, hashes, tlogProof } of await reader.prove(indexes, checkpoint)) {
        const claim = { index, size, leafHash: leaves[index]!, proof: hashes };
        expect(verifyInclusion(claim, checkpoint.root, hash)).toBe(true);
        expect(parseTlogProof(tlogProof)).toMatchObject({ index, checkpoint: checkpoint.note });
      }
    }
    for (const [from, to] of [
      [1, 2_101],
      [1_025, 2_049],
      [700, 1_300],
      [2_100, 2_101],
    ] as const) {
      const proof = await reader.consistencyProof(from, to);
      const [fromRoot, toRoot] = [naiveRoot(leaves.slice(0, from)), naiveRoot(leaves.slice(0, to))];
      expect(verifyConsistency({ from, to, fromRoot, toRoot, proof }, hash)).toBe(true);
    }
  });

  it('serves full tiles and partial ones of every width, and entry bundles, of what is in the log only', async () => {
    await put(520);
    await appendAll();
    const leaves = await storedLeafHashes();
    const tile = (path: string) => reader.tile(parseTilePath(path)!);
    for (const [path, hashes] of [
      ['tile/0/000', leaves.slice(0, 256)],
      ['tile/0/001', leaves.slice(256, 512)],
      ['tile/0/000.p/7', leaves.slice(0, 7)],
      ['tile/0/002.p/9', leaves.slice(512, 521)],
      ['tile/0/002.p/1', leaves.slice(512, 513)],
      ['tile/1/000.p/2', [naiveRoot(leaves.slice(0, 256)), naiveRoot(leaves.slice(256, 512))]],
      ['tile/1/000.p/1', [naiveRoot(leaves.slice(0, 256))]],
    ] as const) {
      expect(toHex((await tile(path))!), path).toBe(toHex(concatBytes(...hashes)));
    }
    for (const [path, start, end] of [
      ['tile/entries/001', 256, 512],
      ['tile/entries/002.p/9', 512, 521],
    ] as const) {
      const entries = decodeEntryBundle((await tile(path))!);
      expect(entries.map((entry) => toHex(hash.leaf(entry)))).toEqual(leaves.slice(start, end).map(toHex));
    }
    for (const path of [
      'tile/0/002',
      'tile/0/002.p/10',
      'tile/1/000',
      'tile/1/000.p/3',
      'tile/2/000.p/1',
      'tile/entries/003.p/1',
    ]) {
      expect(await tile(path), path).toBeUndefined();
    }
  });

  it('goes on from the tables as from memory', async () => {
    let loaded = await load();
    for (let round = 0; round < 6; round++) {
      await put(130);
      loaded = (await append(loaded)).log;
      const reloaded = await load();
      expect(reloaded.frontier.size).toBe(loaded.frontier.size);
      expect(toHex(reloaded.frontier.root())).toBe(toHex(loaded.root));
      loaded = round % 2 === 0 ? reloaded : loaded;
    }
    const leaves = await storedLeafHashes();
    expect(toHex(loaded.root)).toBe(toHex(naiveRoot(leaves)));
  });

  it('drops what stands in the log already and refuses a second leaf for its subject', async () => {
    const leaf = randomBytes(40);
    const [subjectId] = await putPending(db.pool, log.logId, [{ leaf, keyId: key.id }]);
    await appendAll();
    await putPending(db.pool, log.logId, [{ subjectId: subjectId!, leaf, keyId: key.id }]);
    expect(await appendAll()).toEqual([]);
    expect((await db.pool.query('select from log_pending')).rowCount).toBe(0);

    await putPending(db.pool, log.logId, [{ subjectId: subjectId!, leaf: randomBytes(40), keyId: key.id }]);
    const [after] = await put(1);
    const { refused, entries } = await append(await load());
    expect(refused.map(({ entry }) => entry.subjectId)).toEqual([subjectId]);
    expect(entries).toBe(1);
    expect((await reader.entry({ executionId: after! })).index).toBe(2);
    const { rows } = await db.pool.query('select subject_id, refused from log_pending');
    expect(rows).toEqual([{ subject_id: subjectId, refused: expect.stringContaining('another leaf') }]);
    expect(await appendAll()).toEqual([]);
  });

  it('leaves entries pending whose receipt key has not started', async () => {
    await putPending(db.pool, log.logId, [{ leaf: randomBytes(40), keyId: 'ffffffffffffffff' }]);
    const [known] = await put(1);
    expect(await appendAll()).toEqual([1, 2]);
    expect((await reader.entry({ index: 1 })).subjectId).toBe(known);
    expect((await db.pool.query('select from log_pending')).rowCount).toBe(1);
  });

  it('by three sequencers at once neither forks nor leaves a gap', async () => {
    await appendAll();
    await put(40);
    let lost = 0;
    const sequence = async () => {
      let loaded = await load();
      for (let idle = 0; idle < 3;) {
        try {
          const appended = await append(loaded);
          loaded = appended.log;
          idle = appended.entries === 0 ? idle + 1 : 0;
          if (loaded.frontier.size < 300) await put(10);
        } catch {
          lost++;
          loaded = await load();
        }
      }
    };
    await Promise.all([sequence(), sequence(), sequence()]);
    const leaves = await storedLeafHashes();
    const { rows } = await db.pool.query<{ size: number; root: Buffer }>(
      'select size, root from log_checkpoints order by size',
    );
    for (const { size, root } of rows) expect(toHex(root)).toBe(toHex(naiveRoot(leaves.slice(0, size))));
    const indexes = await db.pool.query<{ idx: number }>('select idx from log_entries order by idx');
    expect(indexes.rows.map((row) => row.idx)).toEqual(leaves.map((_, i) => i));
    const events = await db.pool.query('select from events where stream = $1', [`log:${log.logId}`]);
    expect(events.rowCount).toBe(leaves.length);
    expect((await db.pool.query('select from log_pending')).rowCount).toBe(0);
    expect(lost).toBeGreaterThan(0);
  });

  it('leaves nothing behind when it fails before its commit, and does it right afterwards', async () => {
    await put(300);
    let loaded = (await append(await load())).log;
    // Fails after entries, tiles and checkpoint were written, where the events are.
    const poison = `beacon: the events of ${log.logId}`;
    await db.pool.query('insert into events (stream, seq, type, payload) values ($1, 2, $2, $3)', [
      `log:${log.logId}`,
      'poison',
      JSON.stringify({ poison }),
    ]);
    await expect(append(loaded)).rejects.toThrow();
    const { rows } = await db.pool.query(
      `select (select count(*)::int from log_entries) as entries, (select count(*)::int from log_tiles) as tiles,
              (select count(*)::int from log_checkpoints) as checkpoints, (select size from log_state) as size,
              (select count(*)::int from log_pending) as pending`,
    );
    expect(rows[0]).toEqual({ entries: 1, tiles: 0, checkpoints: 1, size: 1, pending: 300 });

    await db.pool.query(`update streams set seq = 2 where stream = $1`, [`log:${log.logId}`]);
    loaded = (await append(loaded)).log;
    expect(toHex(loaded.root)).toBe(toHex(naiveRoot(await storedLeafHashes())));
  });
});

describe('looking things up', () => {
  it('finds entries by index, execution and CID, and tells pending from unknown', async () => {
    const [subject] = await put(1);
    const cid = `cid-${subject!}`;
    await expect(reader.entry({ executionId: subject! })).rejects.toMatchObject({ code: 'pending' });
    await expect(reader.checkpoint()).rejects.toMatchObject({ code: 'no_checkpoint' });
    await appendAll();
    for (const query of [{ index: 1 }, { executionId: subject! }, { cid }, { executionId: subject!, cid }]) {
      expect(await reader.entry(query)).toMatchObject({ index: 1, subjectId: subject });
    }
    for (const query of [{ index: 2 }, { cid: 'other' }, { executionId: subject!, cid: 'other' }, {}]) {
      await expect(reader.entry(query)).rejects.toMatchObject({ code: 'not_in_log' });
    }
    const checkpoint = await reader.checkpoint(1);
    await expect(reader.prove([1], checkpoint)).rejects.toMatchObject({ code: 'not_in_log' });
    await expect(reader.checkpoint(99)).rejects.toMatchObject({ code: 'no_checkpoint' });
  });

  it('refuses to make proofs out of rows that are gone', async () => {
    await put(5);
    await appendAll();
    const checkpoint = await reader.checkpoint();
    await using owner = await asOwner();
    await owner.query('delete from beacon.log_entries where idx = 3');
    await expect(reader.prove([2], checkpoint)).rejects.toMatchObject({ code: 'log_damaged' });
  });
});

async function asOwner() {
  const { createPool } = await import('../../store/pool.ts');
  const pool = createPool({ databaseUrl: db.url, name: 'test owner', role: null });
  return {
    query: (text: string) => pool.query(text),
    [Symbol.asyncDispose]: () => pool.end(),
  };
}
