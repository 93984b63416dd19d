import { gzipSync } from 'node:zlib';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { generateLogKey } from '../../attestation/keys/log-key.ts';
import { nodeSha256 } from '../../attestation/keys/node-verifiers.ts';
import { fromHex } from '../../domain/encoding.ts';
import { signCheckpoint } from '../../domain/log/checkpoint.ts';
import { treeHash } from '../../domain/log/hash.ts';
import { decodeEntryBundle, encodeEntryBundle, parseTilePath } from '../../domain/log/tile.ts';
import { noteKey, formatVkey } from '../../domain/log/vkey.ts';
import { createPool, type Pool } from '../../store/pool.ts';
import { signedJob, testApi, testKey, type TestApi } from '../../test/support/api.ts';
import { attestedLog, type AttestedLog } from '../../test/support/attested.ts';
import { eventually } from '../../test/support/eventually.ts';
import { recordedIo } from '../../test/support/recorded-io.ts';
import { tamperingProxy, type TamperingProxy } from '../../test/support/tampering-proxy.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { main } from '../command-line.ts';

/** A real log with real receipts in it behind the real API; what stands between is ours. */
const hash = treeHash(nodeSha256);
const FILLERS = 600;
let api: TestApi;
let log: AttestedLog;
let owner: Pool;
let proxy: TamperingProxy;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let upstream: string;
let vkey: string;
let size: number;
/** An execution with its receipt, and the head before the last entries came. */
let execution: { id: string; cid: string; index: number };
let older: { size: number; root: Uint8Array; note: string };

const KEPT = ['log_entries', 'log_tiles', 'log_checkpoints', 'log_state', 'blocks'] as const;

beforeAll(async () => {
  api = await testApi();
  log = await attestedLog(api.db);
  owner = createPool({ databaseUrl: api.db.url, name: 'test tamper', role: null });
  log.startSequencing();
  const submit = async () => (await api.post(signedJob(testKey(), { questions: [] }))).json.id as string;
  const job = await submit();
  await log.endJob(job);
  await shown(5);
  await fill(FILLERS);
  await shown(5 + FILLERS);
  older = await head();
  await fill(40);
  size = 5 + FILLERS + 40;
  await shown(size);
  const { json } = await api.get(`/api/v1/jobs/${job}/executions`);
  const [{ id, ipfs_cid: cid }] = json.executions;
  const { leaf_index: index } = (await api.get(`/api/v1/transparency/proof?execution_id=${id}`)).json;
  execution = { id, cid, index };
  vkey = formatVkey(noteKey(log.head.origin, log.logKey.publicKey, nodeSha256));
  upstream = await api.app.listen({ port: 0, host: '127.0.0.1' });
  proxy = await tamperingProxy(() => upstream);
  for (const table of KEPT) await owner.query(`create table kept_${table} as table ${table}`);
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await owner.end();
  await log[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});
beforeEach(async () => {
  folder = await temporaryFolder();
  proxy.tamper = () => undefined;
  proxy.asked = [];
});
afterEach(() => folder[Symbol.asyncDispose]());

async function shown(entries: number): Promise<void> {
  await eventually(async () =>
    (await api.get('/api/v1/transparency/root')).json.tree_size >= entries ? true : undefined,
  );
}

async function head(): Promise<typeof older> {
  const { json } = await api.get('/api/v1/transparency/checkpoints?limit=1');
  const [{ tree_size: at, root, checkpoint: note }] = json.checkpoints;
  return { size: at, root: fromHex(root as string)!, note };
}

/** Entries of a kind that has no document behind it, so that tiles fill up. */
async function fill(count: number): Promise<void> {
  await owner.query(
    `insert into log_pending (log_id, subject_kind, subject_id, version, leaf, key_id)
     select $1, 'report', gen_random_uuid()::text, 1, convert_to('{"report":"' || n || gen_random_uuid() || '"}', 'UTF8'), (select key_id from key_entries where version = 1 limit 1)
     from generate_series(1, $2) n`,
    [log.head.logId, count],
  );
}

async function beacon(words: string[], env: Record<string, string> = {}) {
  const io = recordedIo({ cwd: folder.path, env: { BEACON_STATE: 'state', ...env } });
  const code = await main(words, io);
  return { code, out: io.out(), err: io.err() };
}

interface Finding {
  code: string;
  where: string;
}

/** What `beacon audit` finds, as `code where`. */
async function found(
  words: string[],
  env: Record<string, string> = {},
): Promise<{ code: number; findings: string[] }> {
  const { code, out, err } = await beacon(['audit', ...words, '--json'], env);
  expect(out, err).not.toBe('');
  const { ok, findings } = JSON.parse(out) as { ok: boolean; findings: Finding[] };
  expect(ok).toBe(code === 0);
  return { code, findings: findings.map((one) => `${one.code} ${one.where}`) };
}

const auditDb = () => found(['--db'], { DATABASE_URL: api.db.url });
const auditUrl = () => found([proxy.url, '--vkey', vkey]);

describe('a clean log', () => {
  test('is clean in its tables and over HTTP, and says so to people', async () => {
    expect(await auditDb()).toEqual({ code: 0, findings: [] });
    expect(await auditUrl()).toEqual({ code: 0, findings: [] });
    const { code, out } = await beacon(['audit', proxy.url, '--vkey', vkey]);
    expect(code).toBe(0);
    expect(out).toContain(`CLEAN ${log.head.origin}, ${size} entries`);
  });

  test('is looked at from where an audit was cut off, and from the last one when asked', async () => {
    proxy.tamper = (asked) => (asked.startsWith('/tile/entries/002') ? { status: 503 } : undefined);
    const cut = await beacon(['audit', proxy.url, '--vkey', vkey]);
    expect([cut.code, cut.err]).toEqual([3, expect.stringContaining('503')]);
    proxy.tamper = () => undefined;
    proxy.asked = [];
    const { out } = await beacon(['audit', proxy.url, '--vkey', vkey, '--json']);
    expect(JSON.parse(out)).toMatchObject({ ok: true, audited_from: 512, tree_size: size });
    expect(proxy.asked.filter((asked) => asked.startsWith('/tile/entries'))).toEqual([
      `/tile/entries/002.p/${size - 512}`,
    ]);
    const whole = await beacon(['audit', proxy.url, '--vkey', vkey, '--json']);
    expect(JSON.parse(whole.out)).toMatchObject({ ok: true, audited_from: 0 });
    const since = await beacon(['audit', proxy.url, '--vkey', vkey, '--since-last', '--json']);
    expect(JSON.parse(since.out)).toMatchObject({ ok: true, audited_from: 512 });
  });

  test('is trusted at first use like a service, and another key than the pinned one is found', async () => {
    const first = await beacon(['audit', upstream]);
    expect([first.code, first.err]).toEqual([0, expect.stringContaining('pinned')]);
    expect((await found([upstream])).code).toBe(0);
  });
});

const at = (index: number) => `where idx = ${index}`;
const flipped = (column: string) => `set_byte(${column}, 12, 255 - get_byte(${column}, 12))`;
describe('damage in the store is named:', () => {
  const pair = '(a.idx, b.idx) in ((300, 310), (310, 300))';
  const swap = `update log_entries a set leaf = b.leaf, leaf_hash = b.leaf_hash from log_entries b where ${pair}`;
  const blockOf = (kind: string, more = '') =>
    `update blocks set bytes = ${flipped('bytes')} where digest = (select digest from cids where kind = '${kind}' ${more} limit 1)`;
  const kinds: [string, () => string, () => string[]][] = [
    [
      'a flipped leaf',
      () => `update log_entries set leaf = ${flipped('leaf')} ${at(311)}`,
      () => ['entry_altered entry 311'],
    ],
    [
      'a flipped leaf in the last, partial tile',
      () => `update log_entries set leaf = ${flipped('leaf')} ${at(600)}`,
      () => ['entry_altered entry 600'],
    ],
    [
      'a flipped tile',
      () => `update log_tiles set hashes = ${flipped('hashes')} where level = 0 and idx = 1`,
      () => ['tile_altered tile/0/001'],
    ],
    ['swapped entries', () => swap, () => ['entries_swapped entries 300 and 310']],
    [
      'a truncated entry',
      () => `update log_entries set leaf = substr(leaf, 1, length(leaf) - 5) ${at(17)}`,
      () => ['entry_truncated entry 17'],
    ],
    [
      'an altered receipt',
      () => blockOf('receipt', `and cid = '${execution.cid}'`),
      () => [`receipt_altered execution ${execution.id}`],
    ],
    [
      'an altered block',
      () => blockOf('manifest'),
      () => [expect.stringMatching(/^block_altered block bafk/) as string],
    ],
    [
      'an altered envelope',
      () => blockOf('dsse', `and execution_id = '${execution.id}'`),
      () => [
        `envelope_altered entry ${execution.index}`,
        expect.stringMatching(/^block_altered block/) as string,
      ],
    ],
    [
      'a wrong root in the head',
      () => `update log_state set root = sha256('')`,
      () => ['root_mismatch head'],
    ],
    [
      'a wrong root in an old checkpoint',
      () => `update log_checkpoints set root = sha256('') where size = ${older.size}`,
      () => [`checkpoint_altered checkpoint ${older.size}`],
    ],
    ['a missing entry', () => `delete from log_entries ${at(44)}`, () => ['entry_missing entry 44']],
    [
      'a missing tile',
      () => `delete from log_tiles where level = 0 and idx = 0`,
      () => ['tile_missing tile/0/000', 'tile_missing tile/1/000.p/2'],
    ],
  ];
  test.each(kinds)('%s', async (_kind, damage, findings) => {
    try {
      expect((await owner.query(damage())).rowCount).toBeGreaterThan(0);
      expect(await auditDb()).toEqual({ code: 1, findings: findings() });
    } finally {
      for (const table of KEPT) {
        await owner.query(
          `begin; set local session_replication_role = replica; delete from ${table}; insert into ${table} table kept_${table}; commit`,
        );
      }
    }
    expect(await auditDb()).toEqual({ code: 0, findings: [] });
  });

  test('a document that is gone, unless the log says that it was erased', async () => {
    const gone = `entry ${execution.index}`;
    const replica = (sql: string) =>
      owner.query(`begin; set local session_replication_role = replica; ${sql}; commit`);
    const envelope = `(select dsse_digest from receipts where execution_id = '${execution.id}')`;
    try {
      await replica(`delete from blocks where digest = ${envelope}`);
      expect(await auditDb()).toEqual({ code: 1, findings: [`receipt_missing ${gone}`] });
      await replica(
        `insert into log_pending (log_id, subject_kind, subject_id, version, leaf, key_id, refused)
         values ('${log.head.logId}', 'erasure', '${execution.id}', 1, '{}', 'none', 'a test')`,
      );
      expect(await auditDb()).toEqual({ code: 0, findings: [] });
    } finally {
      await replica(
        `delete from log_pending where subject_kind = 'erasure'; delete from blocks; insert into blocks table kept_blocks`,
      );
    }
  });

  test('an execution with another outcome than was signed', async () => {
    const stored = (state: string) =>
      owner.query(
        `begin; set local session_replication_role = replica;
         update executions set state = '${state}' where id = '${execution.id}'; commit`,
      );
    await stored('failed');
    expect(await auditDb()).toEqual({ code: 1, findings: [`execution_altered execution ${execution.id}`] });
    await stored('completed');
  });
});

/** A checkpoint that the log's own key signed, of whatever it likes. */
const signed = (of: number, root: Uint8Array, key = log.logKey) =>
  signCheckpoint({ origin: log.head.origin, size: of, root }, [key.signerFor(log.head.origin)]);

/** Every leaf of the log, as it serves them. */
async function leaves(): Promise<Uint8Array[]> {
  const found: Uint8Array[] = [];
  while (found.length < size) {
    const width = Math.min(256, size - found.length);
    const name = `00${found.length / 256}${width === 256 ? '' : `.p/${width}`}`;
    found.push(...decodeEntryBundle((await api.get(`/tile/entries/${name}`)).raw));
  }
  return found;
}

function rootOf(hashes: readonly Uint8Array[]): Uint8Array {
  if (hashes.length <= 1) return hashes[0] ?? hash.empty();
  const split = 2 ** Math.ceil(Math.log2(hashes.length) - 1);
  return hash.node(rootOf(hashes.slice(0, split)), rootOf(hashes.slice(split)));
}

/** A whole log of other leaves, signed by the right key: what a cheating operator would show to some. */
async function forkedLog(entries: readonly Uint8Array[]): Promise<TamperingProxy['tamper']> {
  const hashes = entries.map((entry) => hash.leaf(entry));
  const note = await signed(entries.length, rootOf(hashes));
  return (asked) => {
    if (asked === '/checkpoint') return { body: note };
    const tile = parseTilePath(asked.slice(1));
    if (tile === undefined) return undefined;
    const start = tile.index * 256;
    if (tile.level === 'entries')
      return { body: encodeEntryBundle(entries.slice(start, start + tile.width)) };
    const span = 256 ** tile.level;
    const nodes = Array.from({ length: tile.width }, (_, i) =>
      rootOf(hashes.slice((start + i) * span, (start + i + 1) * span)),
    );
    return { body: Buffer.concat(nodes) };
  };
}

describe('damage on the wire is named:', () => {
  test('a missing partial tile', async () => {
    proxy.tamper = (asked) => (asked.startsWith('/tile/0/002') ? { status: 404 } : undefined);
    expect(await auditUrl()).toEqual({ code: 1, findings: [`tile_missing tile/0/002.p/${size - 512}`] });
  });

  test('missing entries', async () => {
    proxy.tamper = (asked) => (asked.startsWith('/tile/entries/001') ? { status: 404 } : undefined);
    expect(await auditUrl()).toEqual({ code: 1, findings: ['entry_missing tile/entries/001'] });
  });

  test('an index that is served with the entry of another', async () => {
    proxy.tamper = async (asked) => {
      if (asked !== '/tile/entries/001') return undefined;
      const entries = decodeEntryBundle((await api.get(asked)).raw);
      entries[11] = entries[10]!;
      return { body: encodeEntryBundle(entries) };
    };
    expect(await auditUrl()).toEqual({ code: 1, findings: ['entry_duplicate entry 267'] });
  });

  test('a checkpoint of the wrong key', async () => {
    const { root } = await head();
    const note = await signed(size, root, generateLogKey());
    proxy.tamper = (asked) => (asked === '/checkpoint' ? { body: note } : undefined);
    expect(await auditUrl()).toEqual({ code: 1, findings: ['checkpoint_unsigned checkpoint'] });
  });

  test('a checkpoint that was rewound behind the one that is remembered', async () => {
    expect((await auditUrl()).code).toBe(0);
    proxy.tamper = (asked) => (asked === '/checkpoint' ? { body: older.note } : undefined);
    expect(await auditUrl()).toEqual({ code: 1, findings: ['log_rewound checkpoint'] });
    const watched = await beacon(['monitor', proxy.url, '--vkey', vkey, '--once']);
    expect([watched.code, watched.out]).toEqual([1, expect.stringContaining('log_rewound')]);
  });

  test('a forked root of the remembered size', async () => {
    expect((await auditUrl()).code).toBe(0);
    const note = await signed(size, hash.leaf(new Uint8Array()));
    proxy.tamper = (asked) => (asked === '/checkpoint' ? { body: note } : undefined);
    expect(await auditUrl()).toEqual({ code: 1, findings: ['log_forked checkpoint'] });
  });

  test('a forked log that is larger than the remembered one and whole in itself', async () => {
    expect((await auditUrl()).code).toBe(0);
    const entries = await leaves();
    entries[3] = Buffer.from('{"another":"receipt"}');
    entries.push(Buffer.from('{"one":"more"}'));
    proxy.tamper = await forkedLog(entries);
    expect(await auditUrl()).toEqual({ code: 1, findings: [`log_forked checkpoint ${size}`] });
    const since = await found([proxy.url, '--vkey', vkey, '--since-last']);
    expect(since.code).toBe(1);
    const watched = await beacon(['monitor', proxy.url, '--vkey', vkey, '--once']);
    expect([watched.code, watched.out]).toEqual([1, expect.stringContaining('log_forked')]);
    // What was found wrong is not remembered: the true log still holds.
    proxy.tamper = () => undefined;
    expect((await auditUrl()).code).toBe(0);
  });
});

describe('a hostile log', () => {
  const big = (bytes: number) => new Uint8Array(bytes);
  test.each<
    [string, (asked: string) => { body?: Uint8Array; headers?: Record<string, string> } | undefined, string]
  >([
    [
      'a checkpoint that does not end',
      (asked) => (asked === '/checkpoint' ? { body: big(70_000) } : undefined),
      'answer_malformed checkpoint',
    ],
    [
      'no text at all',
      (asked) => (asked === '/checkpoint' ? { body: big(10).fill(255) } : undefined),
      'checkpoint_malformed checkpoint',
    ],
    [
      'a tile that is too large',
      (asked) => (asked === '/tile/0/001' ? { body: big(8_193) } : undefined),
      'answer_malformed tile/0/001',
    ],
    [
      'a tile that is too small',
      (asked) => (asked === '/tile/0/001' ? { body: big(31) } : undefined),
      'answer_malformed tile/0/001',
    ],
    [
      'a bomb of entries',
      (asked) =>
        asked === '/tile/entries/000'
          ? { body: gzipSync(big(40_000_000)), headers: { 'content-encoding': 'gzip' } }
          : undefined,
      'answer_malformed tile/entries/000',
    ],
    [
      'a cut bundle',
      (asked) => (asked === '/tile/entries/000' ? { body: big(7).fill(1) } : undefined),
      'answer_malformed tile/entries/000',
    ],
  ])('is told for %s', async (_what, lie, finding) => {
    proxy.tamper = lie;
    const { code, findings } = await auditUrl();
    expect(code).toBe(1);
    expect(findings[0]).toBe(finding);
  });

  test('is not followed elsewhere', async () => {
    proxy.tamper = (asked) =>
      asked.startsWith('/tile/') ? { status: 302, headers: { location: `${upstream}${asked}` } } : undefined;
    const { code, err } = await beacon(['audit', proxy.url, '--vkey', vkey]);
    expect([code, err]).toEqual([3, expect.stringContaining('redirects')]);
  });
});

describe('beacon monitor', () => {
  test('keeps the last head, demands that the next one continues it, and ends at a fork', async () => {
    proxy.tamper = (asked) => (asked === '/checkpoint' ? { body: older.note } : undefined);
    const io = recordedIo({ cwd: folder.path, env: { BEACON_STATE: 'state' } });
    const running = main(['monitor', proxy.url, '--vkey', vkey, '--every', '1'], io);
    await eventually(() => (io.out().includes(`${older.size} entries`) ? true : undefined));
    proxy.tamper = () => undefined;
    await eventually(() => (io.out().includes(`${size} entries`) ? true : undefined));
    expect(io.out()).toContain(`follows ${older.size}`);
    const note = await signed(size, hash.leaf(new Uint8Array()));
    proxy.tamper = (asked) => (asked === '/checkpoint' ? { body: note } : undefined);
    expect(await running).toBe(1);
    expect(io.out()).toContain('log_forked');
    const [name] = await readdir(path.join(folder.path, 'state', 'watched'));
    const kept = JSON.parse(await readFile(path.join(folder.path, 'state', 'watched', name!), 'utf8'));
    expect(kept.head).toContain(`\n${size}\n`);
  });

  test('waits for a log that does not answer, and ends quietly at Ctrl-C', async () => {
    proxy.tamper = () => ({ status: 500 });
    const io = recordedIo({ cwd: folder.path, env: { BEACON_STATE: 'state' } });
    const running = main(['monitor', proxy.url, '--vkey', vkey, '--every', '1'], io);
    await eventually(() => (io.err().includes('trying again') ? true : undefined));
    io.interrupt();
    expect(await running).toBe(0);
    expect((await beacon(['monitor', proxy.url, '--vkey', vkey, '--once'])).code).toBe(3);
  });
});
