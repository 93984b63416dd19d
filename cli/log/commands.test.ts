import { randomBytes } from 'node:crypto';
import { readdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readKey } from '../../attestation/keys/key-file.ts';
import { loadLogKeyring } from '../../attestation/keys/log-keyring.ts';
import { nodeVerifiers, nodeSha256 } from '../../attestation/keys/node-verifiers.ts';
import { receiptKey } from '../../attestation/keys/receipt-key.ts';
import { openLog } from '../../attestation/log/open.ts';
import { createLogReader } from '../../attestation/log/reader.ts';
import { startSequencer, type Sequencer } from '../../attestation/log/sequencer.ts';
import { startSigning, type Signing } from '../../attestation/receipt/signing.ts';
import { openNote } from '../../domain/log/note.ts';
import { formatVkey, parseVkey } from '../../domain/log/vkey.ts';
import { createLogger } from '../../observability/log.ts';
import { findLog, type LogHead } from '../../store/log-state.ts';
import { createNotifier, createWakeups, type Notifier, type Wakeups } from '../../store/notify.ts';
import { eventually } from '../../test/support/eventually.ts';
import { putPending } from '../../test/support/pending.ts';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.ts';
import { recordedIo } from '../../test/support/recorded-io.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { main } from '../command-line.ts';

/** The commands against a real database, with a sequencer and a worker's signing that follow the same key files. */
let db: TestDatabase;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let log: LogHead;
let notifier: Notifier;
let wakeups: Wakeups;
let signing: Signing & AsyncDisposable;
let sequencer: Sequencer | undefined;

const quiet = createLogger('test', 'silent');
const keyFile = (name: string): string => path.join(folder.path, 'state', 'keys', name);

beforeEach(async () => {
  db = await testDatabase();
  folder = await temporaryFolder();
  log = await openLog(db.pool, { origin: 'beacon.test/log' });
  notifier = createNotifier(db.pool);
  wakeups = await createWakeups(db.url);
  const source = { file: keyFile('receipt.pem') };
  signing = await startSigning({ pool: db.pool, source, origin: undefined, log: quiet });
  await startLog();
});
afterEach(async () => {
  await sequencer?.[Symbol.asyncDispose]();
  for (const part of [signing, notifier, wakeups, folder, db]) await part[Symbol.asyncDispose]();
});

async function startLog(): Promise<void> {
  const logKeys = await loadLogKeyring(
    { current: { file: keyFile('log.pem') }, next: { file: keyFile('log.next.pem') } },
    { logIsNew: (await findLog(db.pool))?.vkey === null },
  );
  const { logId } = log;
  sequencer = startSequencer({
    pool: db.pool,
    databaseUrl: db.url,
    logId,
    logKeys,
    notifier,
    wakeups,
    log: quiet,
  });
  notifier.notify('log');
  await eventually(() => ((sequencer?.status().size ?? 0) > 0 ? true : undefined));
}

async function beacon(words: string[], env: Record<string, string> = {}) {
  const io = recordedIo({ cwd: folder.path, env: { DATABASE_URL: db.url, BEACON_STATE: 'state', ...env } });
  const code = await main(words, io);
  return { code, out: io.out(), err: io.err() };
}

async function ok(...words: string[]): Promise<Record<string, unknown>> {
  const { code, out, err } = await beacon([...words, '--json']);
  expect([words, code, err]).toEqual([words, 0, '']);
  return JSON.parse(out) as Record<string, unknown>;
}

/** [what it signs, state] of every key. */
const states = async (): Promise<unknown[]> =>
  ((await ok('log', 'keys')).keys as { purpose: string; state: string }[]).map(({ purpose, state }) => [
    purpose,
    state,
  ]);

const vkeyOfNewest = async (): Promise<string[]> => {
  const { keys } = (await ok('log', 'keys')) as { keys: { vkey?: string }[] };
  const known = keys.flatMap(({ vkey }) => (vkey === undefined ? [] : [parseVkey(vkey, nodeSha256)]));
  const { note } = await createLogReader(db.pool, log.logId).checkpoint();
  return openNote(note, known, nodeVerifiers).by.map(formatVkey);
};

const put = async (keyId: string): Promise<void> => {
  await putPending(db.pool, log.logId, [{ leaf: randomBytes(40), keyId }]);
  notifier.notify('log');
};

describe('the receipt key', () => {
  test('is rotated, workers follow, and the old one is ended, each at its place in the log', async () => {
    const before = signing.now().keyId;
    expect(await states()).toEqual([
      ['log', 'live'],
      ['receipt', 'live'],
    ]);
    const rotated = await ok('log', 'rotate-receipt-key');
    expect(rotated).toMatchObject({ previous: before, start_index: 1, exchanged: true });
    await eventually(() => (signing.now().keyId === rotated.key_id ? true : undefined));
    await put(before);
    const ended = await ok('log', 'end-receipt-key');
    expect(ended).toEqual({ key_id: before, end_index: 3, signer: rotated.key_id });
    await expect(put(before)).rejects.toMatchObject({ code: 'BK001' });
    await put(signing.now().keyId);
    expect(await states()).toEqual([
      ['log', 'live'],
      ['receipt', 'ended'],
      ['receipt', 'live'],
    ]);
    expect((await readdir(keyFile('.'))).sort()).toEqual(
      ['log.pem', `receipt.${before}.pem`, 'receipt.pem'].sort(),
    );
    expect(receiptKey((await readKey({ file: keyFile('receipt.pem') }))!).id).toBe(rotated.key_id);
  });

  test('is rotated once at a time; ending it twice says the same', async () => {
    const before = signing.now().keyId;
    const rotated = await ok('log', 'rotate-receipt-key');
    const again = await beacon(['log', 'rotate-receipt-key']);
    expect([again.code, again.err]).toEqual([4, expect.stringContaining(`end-receipt-key ${before}`)]);
    const first = await ok('log', 'end-receipt-key', before);
    expect(await ok('log', 'end-receipt-key', before)).toEqual(first);
    expect(await ok('log', 'end-receipt-key')).toEqual(first);
    expect((await ok('log', 'rotate-receipt-key')).previous).toBe(rotated.key_id);
  });

  test('refuses to end the only one, one that is unknown, and without a key', async () => {
    const alone = await beacon(['log', 'end-receipt-key']);
    expect([alone.code, alone.err]).toEqual([4, expect.stringContaining('has one receipt key')]);
    const mine = await beacon(['log', 'end-receipt-key', signing.now().keyId]);
    expect([mine.code, mine.err]).toEqual([4, expect.stringContaining('start another one before it ends')]);
    const unknown = await beacon(['log', 'end-receipt-key', '0123456789abcdef']);
    expect([unknown.code, unknown.err]).toEqual([4, expect.stringContaining('no receipt key 0123456789ab')]);
    const keyless = await beacon(['log', 'rotate-receipt-key'], { BEACON_STATE: 'elsewhere' });
    expect([keyless.code, keyless.err]).toEqual([2, expect.stringContaining('there is no receipt key')]);
  });

  test('goes on where it was interrupted: before the log took it, and before the files changed places', async () => {
    const before = signing.now().keyId;
    await sequencer?.[Symbol.asyncDispose]();
    const io = recordedIo({ cwd: folder.path, env: { DATABASE_URL: db.url, BEACON_STATE: 'state' } });
    const waiting = main(['log', 'rotate-receipt-key'], io);
    await eventually(async () =>
      (await db.pool.query('select from key_entries')).rowCount === 2 ? true : undefined,
    );
    io.interrupt();
    expect(await waiting).toBe(130);
    expect(await states()).toContainEqual(['receipt', 'starting']);
    await startLog();
    const rotated = await ok('log', 'rotate-receipt-key');
    expect(rotated).toMatchObject({ previous: before, start_index: 1 });
    // As if it had been interrupted before the new key got its place.
    await rename(keyFile('receipt.pem'), keyFile('receipt.next.pem'));
    await rename(keyFile(`receipt.${before}.pem`), keyFile('receipt.pem'));
    expect(await ok('log', 'rotate-receipt-key')).toEqual(rotated);
    expect((await ok('log', 'keys')).keys).toHaveLength(3);
  });
});

describe('the log key', () => {
  test('is rotated with an overlap, and the old one is retired', async () => {
    const [before] = await vkeyOfNewest();
    const rotated = await ok('log', 'rotate-log-key');
    expect(rotated).toMatchObject({ start_index: 1, previous: before });
    await put(signing.now().keyId);
    await eventually(async () => ((await vkeyOfNewest()).length === 2 ? true : undefined));
    expect(await vkeyOfNewest()).toEqual([before, rotated.vkey]);
    const second = await ok('log', 'rotate-log-key');
    expect(second).toEqual(rotated);
    const retired = await ok('log', 'retire-log-key');
    expect(retired).toMatchObject({ vkey: before, end_index: 3, vkey_now: rotated.vkey, exchanged: true });
    await eventually(async () => ((await vkeyOfNewest()).length === 1 ? true : undefined));
    expect(await vkeyOfNewest()).toEqual([rotated.vkey]);
    // A sequencer that starts now has the new key alone.
    await sequencer?.[Symbol.asyncDispose]();
    await startLog();
    await put(signing.now().keyId);
    await eventually(async () => ((await ok('log', 'keys')).size === 5 ? true : undefined));
    expect(await vkeyOfNewest()).toEqual([rotated.vkey]);
  });

  test('is not retired before another one started', async () => {
    const early = await beacon(['log', 'retire-log-key']);
    expect([early.code, early.err]).toEqual([2, expect.stringContaining('rotate-log-key')]);
  });
});

test('the keys are a table for people', async () => {
  const { out } = await beacon(['log', 'keys']);
  expect(out).toContain('log  beacon.test/log, 1 entries');
  expect(out).toMatch(/receipt +[0-9a-f]{16} +live +0/);
});

test('without a database, a log or a stack it says so', async () => {
  const none = await beacon(['log', 'keys'], { DATABASE_URL: '' });
  expect([none.code, none.err]).toEqual([2, expect.stringContaining('DATABASE_URL is not set')]);
  const gone = await beacon(['log', 'keys'], { DATABASE_URL: 'postgres://beacon@127.0.0.1:1/beacon' });
  expect([gone.code, gone.err]).toEqual([3, expect.stringContaining('cannot reach PostgreSQL')]);
  await using empty = await testDatabase();
  const fresh = await beacon(['log', 'keys'], { DATABASE_URL: empty.url });
  expect([fresh.code, fresh.err]).toEqual([4, expect.stringContaining('has no log yet')]);
});
