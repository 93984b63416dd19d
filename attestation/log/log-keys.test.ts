import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { randomBytes } from 'node:crypto';
import { eventually } from '../../test/support/eventually.ts';
import { putPending } from '../../test/support/pending.ts';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.ts';
import { openCheckpoint } from '../../domain/log/checkpoint.ts';
import { openNote } from '../../domain/log/note.ts';
import { formatVkey, type NoteKey } from '../../domain/log/vkey.ts';
import { followLogKey } from '../../domain/receipt/log-key-entry.ts';
import { createLogger } from '../../observability/log.ts';
import { findLog, readSequencer, type LogHead } from '../../store/log-state.ts';
import { createNotifier, createWakeups, type Notifier, type Wakeups } from '../../store/notify.ts';
import { generateLogKey, type LogKey } from '../keys/log-key.ts';
import { fixedLogKeyring, type LogKeyring } from '../keys/log-keyring.ts';
import { nodeVerifiers } from '../keys/node-verifiers.ts';
import { generateReceiptKey } from '../keys/receipt-key.ts';
import { listKeys } from './key-list.ts';
import { endLogKey, startLogKey } from './log-keys.ts';
import { openLog } from './open.ts';
import { createLogReader, type LogReader } from './reader.ts';
import { registerFirstReceiptKey } from './receipt-keys.ts';
import { startSequencer, type Sequencer } from './sequencer.ts';
import { readVkeys } from './signers.ts';

const receiptKey = generateReceiptKey();
const [old, next, third] = [generateLogKey(), generateLogKey(), generateLogKey()] as const;
let db: TestDatabase;
let log: LogHead;
let reader: LogReader;
let notifier: Notifier;
let wakeups: Wakeups;
const started: Sequencer[] = [];

beforeEach(async () => {
  db = await testDatabase();
  log = await openLog(db.pool, { origin: 'beacon.test/log' });
  reader = createLogReader(db.pool, log.logId);
  await registerFirstReceiptKey(db.pool, log.logId, receiptKey);
  notifier = createNotifier(db.pool);
  wakeups = await createWakeups(db.url);
});
afterEach(async () => {
  await stop();
  await notifier[Symbol.asyncDispose]();
  await wakeups[Symbol.asyncDispose]();
  await db[Symbol.asyncDispose]();
});

async function stop(): Promise<void> {
  for (const sequencer of started.splice(0)) await sequencer[Symbol.asyncDispose]();
}

function sequencer(...keys: [LogKey, ...LogKey[]]): Sequencer {
  return sequencerWith(fixedLogKeyring(...keys));
}

function sequencerWith(logKeys: LogKeyring): Sequencer {
  const sequencer = startSequencer({
    pool: db.pool,
    databaseUrl: db.url,
    logId: log.logId,
    logKeys,
    notifier,
    wakeups,
    log: createLogger('test', 'silent'),
  });
  started.push(sequencer);
  return sequencer;
}

const note = (key: LogKey): NoteKey => key.signerFor(log.origin);
const vkey = (key: LogKey): string => formatVkey(note(key));
const start = (key: LogKey, current: LogKey) => startLogKey(db.pool, log, key, current);
const end = (key: LogKey, signer: LogKey) => endLogKey(db.pool, log, key, signer);

/** Until the log shows `size` entries; then who signed that. */
async function signedBy(size: number): Promise<string[]> {
  const checkpoint = await eventually(async () => {
    const newest = await reader.newestCheckpoint();
    return newest !== undefined && newest.size >= size ? newest : undefined;
  });
  const opened = openNote(checkpoint.note, [note(old), note(next), note(third)], nodeVerifiers);
  expect(opened.signatures).toHaveLength(opened.by.length);
  return opened.by.map(formatVkey);
}

async function put(): Promise<void> {
  await putPending(db.pool, log.logId, [{ leaf: randomBytes(40), keyId: receiptKey.id }]);
  notifier.notify('log');
}

/** What a client that pinned one key finds, given what a service lists of the log's first `size` entries. */
async function follow(pin: LogKey): Promise<string[]> {
  const { size } = await reader.checkpoint();
  const { logKeys } = await listKeys(db.pool, reader, size);
  const pinned = [note(pin)];
  for (const { start: link } of logKeys) {
    if (link === null) continue;
    try {
      pinned.push(followLogKey(link, pinned, nodeVerifiers));
    } catch {
      // Not one that this client can follow.
    }
  }
  return pinned.map(formatVkey);
}

describe('rotating the key of a log', () => {
  it('has both keys sign from the start entry on, until the old one is ended', async () => {
    sequencer(old, next);
    expect(await signedBy(1)).toEqual([vkey(old)]);
    expect(await start(next, old)).toBe(true);
    expect(await signedBy(2)).toEqual([vkey(old), vkey(next)]);
    expect(await start(next, old)).toBe(false);
    await put();
    expect(await signedBy(3)).toEqual([vkey(old), vkey(next)]);
    expect(await readVkeys(db.pool, log.logId, 3)).toEqual([vkey(old), vkey(next)]);
    expect(await end(old, next)).toBe(true);
    expect(await signedBy(4)).toEqual([vkey(next)]);
    expect(await end(old, next)).toBe(false);
    await put();
    expect(await signedBy(5)).toEqual([vkey(next)]);
    expect(await readVkeys(db.pool, log.logId, 3)).toEqual([vkey(old), vkey(next)]);
    expect(await readVkeys(db.pool, log.logId, 5)).toEqual([vkey(next)]);
  });

  it('is followed by a client with the old pin, during the overlap and after it, through every key since', async () => {
    sequencer(old, next, third);
    await signedBy(1);
    await start(next, old);
    await signedBy(2);
    expect(await follow(old)).toEqual([vkey(old), vkey(next)]);
    expect(await follow(third)).toEqual([vkey(third)]);
    await end(old, next);
    await signedBy(3);
    await start(third, next);
    await signedBy(4);
    await end(next, third);
    await put();
    await signedBy(6);
    const newest = await reader.checkpoint();
    expect(() => openCheckpoint(newest.note, [note(old)], nodeVerifiers)).toThrow();
    expect(await follow(old)).toEqual([vkey(old), vkey(next), vkey(third)]);
    expect(await follow(next)).toEqual([vkey(next), vkey(third)]);
  });

  it('waits until the sequencer holds the new key, which it looks for', async () => {
    let there = false;
    const whole = fixedLogKeyring(old, next);
    sequencerWith({
      first: old,
      find: (wanted) => (there || wanted === vkey(old) ? whole.find(wanted) : undefined),
      reload: () => {
        there = true;
        return Promise.resolve();
      },
    });
    await signedBy(1);
    await start(next, old);
    expect(await signedBy(2)).toEqual([vkey(old), vkey(next)]);
    expect(there).toBe(true);
  });

  it('leaves the lead to a sequencer that holds all keys', async () => {
    sequencer(old, next);
    await signedBy(1);
    await start(next, old);
    await signedBy(2);
    await stop();
    const lacking = sequencer(old);
    await eventually(() => (lacking.status().state === 'refusing' ? true : undefined));
    expect(lacking.status().error).toContain(vkey(next));
    await eventually(async () =>
      (await readSequencer(db.pool))?.refusal?.code === 'log_key_missing' ? true : undefined,
    );
    await put();
    sequencer(old, next);
    expect(await signedBy(3)).toEqual([vkey(old), vkey(next)]);
    expect(await readSequencer(db.pool)).toMatchObject({ state: 'leading', refusal: null });
  });

  it('is refused by who does not sign, twice at once, and for the last key', async () => {
    sequencer(old, next);
    await signedBy(1);
    const refused = (attempt: Promise<boolean>) =>
      expect(attempt).rejects.toMatchObject({ code: 'key_refused' });
    await refused(start(third, next));
    await refused(end(old, next));
    await refused(end(old, old));
    await start(next, old);
    await refused(start(third, old));
    await signedBy(2);
    await refused(start(third, next));
    await refused(end(old, old));
    await refused(end(third, next));
    await end(old, next);
    await refused(end(next, old));
    await refused(start(third, old));
    expect((await findLog(db.pool))!.vkey).toBe(vkey(old));
  });
});
