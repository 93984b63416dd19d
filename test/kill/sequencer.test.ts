import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadLogKey } from '../../attestation/keys/log-key.ts';
import { nodeSha256, nodeVerifiers } from '../../attestation/keys/node-verifiers.ts';
import { generateReceiptKey } from '../../attestation/keys/receipt-key.ts';
import { fixedLogKeyring } from '../../attestation/keys/log-keyring.ts';
import { FAULT_POINTS } from '../../attestation/log/faults.ts';
import { fileGuard } from '../../attestation/log/guard.ts';
import { openLog } from '../../attestation/log/open.ts';
import { createLogReader } from '../../attestation/log/reader.ts';
import { registerFirstReceiptKey } from '../../attestation/log/receipt-keys.ts';
import { startSequencer } from '../../attestation/log/sequencer.ts';
import { pause } from '../../domain/pause.ts';
import { toHex } from '../../domain/encoding.ts';
import { openCheckpoint, parseCheckpoint } from '../../domain/log/checkpoint.ts';
import { Frontier } from '../../domain/log/frontier.ts';
import { treeHash } from '../../domain/log/hash.ts';
import { verifyConsistency } from '../../domain/log/proof.ts';
import { fixVkey, type LogHead } from '../../store/log-state.ts';
import { formatVkey, type NoteKey } from '../../domain/log/vkey.ts';
import { logKeyId } from '../../domain/receipt/key-statement.ts';
import { createLogger } from '../../observability/log.ts';
import { createNotifier, createWakeups } from '../../store/notify.ts';
import { typescriptWords } from '../support/child-process.ts';
import { eventually } from '../support/eventually.ts';
import { putPending } from '../support/pending.ts';
import { testDatabase, type TestDatabase } from '../support/postgres.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** One log, whose sequencers die again and again while entries come in and somebody reads what is shown. */
const hash = treeHash(nodeSha256);
const receiptKey = generateReceiptKey();
let db: TestDatabase;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let log: LogHead;
let logKey: NoteKey;
const running = new Set<ChildProcess>();
/** Every subject that was ever made pending. */
const subjects: string[] = [];
/** Every checkpoint that somebody outside saw, by size. */
const seen = new Map<number, string>();
const stop = new AbortController();
let readingOn: Promise<void>;

beforeAll(async () => {
  db = await testDatabase();
  folder = await temporaryFolder();
  log = await openLog(db.pool, { origin: 'beacon.test/killed' });
  await registerFirstReceiptKey(db.pool, log.logId, receiptKey);
  const key = await loadLogKey(keySource(), { logIsNew: true });
  logKey = key.signerFor(log.origin);
  await fixVkey(db.pool, log.logId, formatVkey(logKey), logKeyId(logKey, nodeSha256));
  readingOn = readOn();
});
afterAll(async () => {
  stop.abort();
  await readingOn;
  for (const child of running) await killed(child);
  await folder[Symbol.asyncDispose]();
  await db[Symbol.asyncDispose]();
});

const keySource = () => ({ file: path.join(folder.path, 'keys', 'log.pem') });

/** What a client sees: the newest checkpoint, again and again. */
async function readOn(): Promise<void> {
  const reader = createLogReader(db.pool, log.logId);
  while (!stop.signal.aborted) {
    const newest = await reader.newestCheckpoint();
    if (newest !== undefined) {
      const { size, root } = openCheckpoint(newest.note, [logKey], nodeVerifiers);
      const known = seen.get(size);
      if (known !== undefined && known !== toHex(root)) throw new Error(`two roots were shown for ${size}`);
      if (size < Math.max(0, ...seen.keys())) throw new Error(`the log became shorter: ${size}`);
      seen.set(size, toHex(root));
    }
    await pause(5, stop.signal);
  }
}

function sequencer(point: string, times = 1): ChildProcess {
  const script = path.join(import.meta.dirname, '../support/dying-sequencer.ts');
  const words = [db.url, log.logId, folder.path, point, String(times)];
  const child = spawn(process.execPath, [...typescriptWords(script), ...words], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { PATH: process.env.PATH },
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

async function put(count: number): Promise<void> {
  const leaves = Array.from({ length: count }, () => ({ leaf: randomBytes(60), keyId: receiptKey.id }));
  subjects.push(...(await putPending(db.pool, log.logId, leaves)));
}

/** Entries that keep coming until `signal` is aborted. */
async function putOn(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await put(randomInt(1, 40));
    await pause(randomInt(1, 25), signal);
  }
}

async function signedTexts(): Promise<{ size: number; root: Uint8Array }[]> {
  const lines = (await readFile(path.join(folder.path, 'signed.jsonl'), 'utf8')).split('\n').slice(0, -1);
  return lines.map((line) => parseCheckpoint(JSON.parse(line) as string));
}

/** Lets a sequencer that does not die finish, then holds the log against everything that was put, signed and seen. */
async function expectWhole(): Promise<void> {
  await using notifier = createNotifier(db.pool);
  await using wakeups = await createWakeups(db.url);
  await using _last = startSequencer({
    pool: db.pool,
    databaseUrl: db.url,
    logId: log.logId,
    logKeys: fixedLogKeyring(await loadLogKey(keySource(), { logIsNew: false })),
    notifier,
    wakeups,
    guard: fileGuard(path.join(folder.path, 'log-guard.json')),
    log: createLogger('test', 'silent'),
  });
  const reader = createLogReader(db.pool, log.logId);
  const wanted = subjects.length + 1;
  await eventually(async () => ((await reader.newestCheckpoint())?.size === wanted ? true : undefined));
  const { rows } = await db.pool.query<{ idx: number; subject: string; leaf: Buffer }>(
    'select idx, subject_id as subject, leaf from log_entries order by idx',
  );
  expect(rows.map(({ idx }) => idx)).toEqual(rows.map((_, i) => i));
  expect(
    rows
      .slice(1)
      .map(({ subject }) => subject)
      .sort(),
  ).toEqual([...subjects].sort());
  expect((await db.pool.query('select from log_pending')).rowCount).toBe(0);
  const events = await db.pool.query<{ index: number }>(
    `select (payload ->> 'log_index')::int as index from events where stream = $1 order by seq`,
    [`log:${log.logId}`],
  );
  expect(events.rows.map(({ index }) => index)).toEqual(rows.map(({ idx }) => idx));

  const roots = new Map<number, string>();
  const frontier = Frontier.empty(hash);
  for (const { leaf } of rows) {
    frontier.append(hash.leaf(leaf));
    roots.set(frontier.size, toHex(frontier.root()));
  }
  // Every signature that ever left a key, shown or not, and every checkpoint that was shown is of this one history.
  for (const { size, root } of await signedTexts())
    expect([size, toHex(root)]).toEqual([size, roots.get(size)]);
  for (const [size, root] of seen) expect([size, root]).toEqual([size, roots.get(size)]);
  const kept = await db.pool.query<{ size: number; note: string }>('select size, note from log_checkpoints');
  for (const { size, note } of kept.rows) {
    const opened = openCheckpoint(note, [logKey], nodeVerifiers);
    expect([opened.size, toHex(opened.root)]).toEqual([size, roots.get(size)]);
    const proof = await reader.consistencyProof(size, rows.length);
    const claim = { from: size, to: rows.length, fromRoot: opened.root, toRoot: frontier.root(), proof };
    expect([size, verifyConsistency(claim, hash)]).toEqual([size, true]);
  }
}

describe('a sequencer that is killed', () => {
  it.each(FAULT_POINTS)(
    '%s: in its first batch, and its successor in a later one',
    async (point) => {
      await put(30);
      // The second waits for the place of the first, unless it was there earlier: then the first ends in its stead.
      const dying = [sequencer(point, 1), sequencer(point, 4)];
      const enough = new AbortController();
      const coming = putOn(enough.signal);
      const ends = await Promise.all(dying.map((child) => once(child, 'exit')));
      enough.abort();
      await coming;
      expect([point, ...ends]).toEqual([point, [null, 'SIGKILL'], [null, 'SIGKILL']]);
      await expectWhole();
    },
    60_000,
  );

  it('at any moment, with another one that waits for its place', async () => {
    const enough = new AbortController();
    const coming = putOn(enough.signal);
    let waiting = sequencer('never');
    for (let round = 0; round < 6; round += 1) {
      const leading = waiting;
      waiting = sequencer('never');
      const before = Math.max(0, ...seen.keys());
      await eventually(() => (Math.max(0, ...seen.keys()) > before ? true : undefined));
      await pause(randomInt(0, 1_000), stop.signal);
      await killed(leading);
    }
    await killed(waiting);
    enough.abort();
    await coming;
    await expectWhole();
  }, 120_000);
});
