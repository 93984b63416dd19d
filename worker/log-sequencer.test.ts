import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { main } from '../cli/command-line.ts';
import { generateLogKey } from '../attestation/keys/log-key.ts';
import { appendPending } from '../attestation/log/append.ts';
import { loadLog } from '../attestation/log/load.ts';
import { createLogReader } from '../attestation/log/reader.ts';
import { startSigning, type Signing } from '../attestation/receipt/signing.ts';
import { readSettings } from '../config/settings.ts';
import { formatVkey } from '../domain/log/vkey.ts';
import { createBusinessEvents } from '../observability/events.ts';
import { createLogger } from '../observability/log.ts';
import { createMetrics } from '../observability/metrics.ts';
import { readPolicy } from '../store/log-cosignatures.ts';
import { findLog } from '../store/log-state.ts';
import { createNotifier, createWakeups, type Notifier, type Wakeups } from '../store/notify.ts';
import { eventually } from '../test/support/eventually.ts';
import { putPending } from '../test/support/pending.ts';
import { testDatabase, type TestDatabase } from '../test/support/postgres.ts';
import { recordedIo } from '../test/support/recorded-io.ts';
import { temporaryFolder } from '../test/support/temporary-folder.ts';
import type { Process } from './process.ts';
import { startLogSequencer } from './log-sequencer.ts';

const quiet = createLogger('test', 'silent');
let db: TestDatabase;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let state: string;
let notifier: Notifier;
let wakeups: Wakeups;
let signing: Signing & AsyncDisposable;
const parts: AsyncDisposable[] = [];
const failures: unknown[] = [];

beforeEach(async () => {
  db = await testDatabase();
  folder = await temporaryFolder();
  state = path.join(folder.path, 'state');
  notifier = createNotifier(db.pool);
  wakeups = await createWakeups(db.url);
  const source = { file: path.join(state, 'keys', 'receipt.pem') };
  signing = await startSigning({ pool: db.pool, source, origin: undefined, log: quiet });
  failures.length = 0;
});
afterEach(async () => {
  await stop();
  for (const part of [signing, notifier, wakeups, db, folder]) await part[Symbol.asyncDispose]();
});

async function stop(): Promise<void> {
  for (const part of parts.splice(0).reverse()) await part[Symbol.asyncDispose]();
}

async function start(env: Record<string, string> = {}) {
  const process: Partial<Process> = {
    pool: db.pool,
    notifier,
    wakeups,
    events: createBusinessEvents(quiet, createMetrics()),
    use(part) {
      parts.push(part);
      return part;
    },
    fail: (error) => void failures.push(error),
  };
  const settings = readSettings({ BEACON_STATE: state, ...env });
  return (await startLogSequencer(process as Process, db.url, settings, quiet)).sequencer;
}

const put = async (count: number): Promise<string[]> => {
  const { logId, keyId } = signing.now();
  const leaves = Array.from({ length: count }, () => ({ leaf: randomBytes(40), keyId }));
  const subjects = await putPending(db.pool, logId, leaves);
  notifier.notify('log');
  return subjects;
};
const shows = (size: number) =>
  eventually(async () => {
    const { logId } = (await findLog(db.pool))!;
    return (await createLogReader(db.pool, logId).newestCheckpoint())?.size === size ? true : undefined;
  });
const files = async (): Promise<string[]> => (await readdir(path.join(state, 'keys'))).sort();

async function close(...words: string[]) {
  const io = recordedIo({ cwd: folder.path, env: { DATABASE_URL: db.url, BEACON_STATE: state } });
  const code = await main(['log', 'close', ...words, '--json'], io);
  return { code, err: io.err(), json: code === 0 ? (JSON.parse(io.out()) as Record<string, unknown>) : {} };
}

describe('a log that was rolled back', () => {
  test('is closed by its operator; the next one names its last checkpoint, and takes what is pending', async () => {
    await start();
    await put(3);
    await shows(4);
    const old = (await findLog(db.pool))!;
    await stop();
    // As if the database had been restored from before some entries that were signed.
    const guardFile = path.join(state, 'log-guard.json');
    const guard = JSON.parse(await readFile(guardFile, 'utf8')) as object;
    await writeFile(guardFile, JSON.stringify({ ...guard, size: 99, root: 'ab'.repeat(32) }));
    const refusing = await start();
    await eventually(() => (refusing.status().state === 'refusing' ? true : undefined));
    const waiting = await put(2);

    expect((await close()).err).toContain('for ever');
    expect((await findLog(db.pool))!.origin).toBe(old.origin);
    expect((await close('--yes', '--origin', old.origin)).code).toBe(2);
    const closed = await close('--yes', '--origin', 'beacon.test/second');
    expect(closed).toMatchObject({
      code: 0,
      json: {
        closed: old.origin,
        size: 99,
        root: 'ab'.repeat(32),
        origin: 'beacon.test/second',
        moved: 2,
        left: 0,
      },
    });
    // Who held the old log ends; the workers follow.
    await eventually(() => (failures.length === 1 ? true : undefined));
    expect(failures[0]).toMatchObject({ code: 'log_closed' });
    await expect(put(1)).rejects.toMatchObject({ code: 'BK002' });
    expect(await signing.renew()).toBe(true);
    await stop();

    const before = await files();
    await start();
    await put(1);
    await shows(4);
    const log = (await findLog(db.pool))!;
    expect(log).toMatchObject({ origin: 'beacon.test/second', size: 4, followsOthers: true });
    expect(log.vkey).not.toBe(old.vkey);
    expect((await files()).filter((file) => !before.includes(file))).toEqual([
      expect.stringMatching(/^log\.[0-9a-f]{8}\.closed\.pem$/),
    ]);
    const { rows } = await db.pool.query<{ subject: string; dsse: Buffer | null }>(
      `select e.subject_id as subject, b.bytes as dsse from log_entries e
       left join key_entries k on k.log_id = e.log_id and k.key_id = e.subject_id
       left join blocks b on b.digest = k.dsse_digest where e.log_id = $1 order by e.idx`,
      [log.logId],
    );
    expect(rows.slice(1, 3).map(({ subject }) => subject)).toEqual(waiting);
    const { payload } = JSON.parse(rows[0]!.dsse!.toString()) as { payload: string };
    const statement = JSON.parse(Buffer.from(payload, 'base64').toString()) as { predicate: object };
    expect(statement.predicate).toMatchObject({
      continues: { origin: old.origin, size: 99, root: 'ab'.repeat(32) },
    });
    // The closed one stands as it was.
    expect((await createLogReader(db.pool, old.logId).checkpoint()).size).toBe(4);
    expect(JSON.parse(await readFile(guardFile, 'utf8'))).toMatchObject({ origin: 'beacon.test/second' });
    expect((await close('--yes')).code).toBe(0);
    expect((await close('--yes')).err).toContain('nothing to close');
  });

  test('a key that signed a closed log signs no other', async () => {
    await start();
    await shows(1);
    const pem = await readFile(path.join(state, 'keys', 'log.pem'), 'utf8');
    await close('--yes');
    await eventually(() => (failures.length === 1 ? true : undefined));
    await stop();
    const again = await start({ BEACON_LOG_KEY_PEM: pem });
    await eventually(() => (again.status().state === 'refusing' ? true : undefined));
    expect(again.status().error).toContain('a new log needs a new key');
  });
});

describe('entries that no checkpoint covers when a log is closed', () => {
  /** Three entries that are shown, and two more that stand committed alone, as after a crash. */
  async function leaveTwo(): Promise<{ logId: string; subjects: string[] }> {
    await start();
    await put(2);
    await shows(3);
    await stop();
    const subjects = await put(2);
    const { logId } = (await findLog(db.pool))!;
    await appendPending(db.pool, logId, await loadLog(db.pool, logId, undefined));
    return { logId, subjects };
  }
  const lose = (name: string) => rm(path.join(state, 'keys', name));
  const sizeOf = async (logId: string) => (await createLogReader(db.pool, logId).checkpoint()).size;

  test('get a last one, signed by the command where no relay does', async () => {
    const { logId } = await leaveTwo();
    const { json } = await close('--yes');
    expect(json).toMatchObject({ size: 5, unsigned: null, carried: 0, unproven: [], moved: 0 });
    expect(await sizeOf(logId)).toBe(5);
  });

  test('go into the next log as well where the key of the log is gone', async () => {
    const { logId, subjects } = await leaveTwo();
    await lose('log.pem');
    const { json } = await close('--yes');
    expect(json).toMatchObject({
      size: 3,
      unsigned: expect.stringContaining('log') as string,
      carried: 2,
      unproven: [],
    });
    expect(await sizeOf(logId)).toBe(3);
    await start();
    await shows(3);
    const { rows } = await db.pool.query<{ subject: string }>(
      `select subject_id as subject from log_entries where log_id = $1 and idx > 0 order by idx`,
      [(await findLog(db.pool))!.logId],
    );
    expect(rows.map(({ subject }) => subject)).toEqual(subjects);
  });

  test('are named one by one where the receipt key is gone too', async () => {
    const { subjects } = await leaveTwo();
    await lose('log.pem');
    await lose('receipt.pem');
    const { json } = await close('--yes');
    expect(json).toMatchObject({
      size: 3,
      carried: 0,
      unproven: subjects.map((subject, i) => ({ index: 3 + i, subject_id: subject })),
    });
  });
});

describe('a policy file', () => {
  test('is published; one that cannot be understood, or is of another log, keeps the relay from starting', async () => {
    const file = path.join(folder.path, 'policy');
    await mkdir(folder.path, { recursive: true });
    await writeFile(file, 'quorum none\n');
    await start({ LOG_POLICY_FILE: file, LOG_WITNESS_MODE: 'wait' });
    const { logId } = (await findLog(db.pool))!;
    expect(await readPolicy(db.pool, logId)).toBe('quorum none\n');
    await shows(1);
    await stop();
    const refused = (env: Record<string, string>) =>
      start(env).then(
        () => 'started',
        (error: unknown) => (error as Error).message,
      );
    await writeFile(file, 'quorum w\n');
    expect(await refused({ LOG_POLICY_FILE: file })).toContain('line 1: "w" is not defined');
    expect(await refused({ LOG_POLICY_FILE: `${file}.not` })).toContain('cannot read');
    expect(await refused({ LOG_WITNESS_MODE: 'wait' })).toContain('needs a LOG_POLICY_FILE');
    const vkey = formatVkey(generateLogKey().signerFor('other.test/log'));
    await writeFile(file, `log ${vkey}\nquorum none\n`);
    expect(await refused({ LOG_POLICY_FILE: file })).toContain('of other logs');
    await start();
    expect(await readPolicy(db.pool, logId)).toBeNull();
  });
});
