import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../test/support/eventually.ts';
import { putPending } from '../../test/support/pending.ts';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.ts';
import { sequence } from '../../test/support/sequence.ts';
import { toHex } from '../../domain/encoding.ts';
import { parseVkey } from '../../domain/log/vkey.ts';
import { createLogger } from '../../observability/log.ts';
import { findLog, readSequencer, requireDurability, type LogHead } from '../../store/log-state.ts';
import { createNotifier, createWakeups, type Notifier, type Wakeups } from '../../store/notify.ts';
import { createPool } from '../../store/pool.ts';
import { generateLogKey, type LogKey } from '../keys/log-key.ts';
import { fixedLogKeyring } from '../keys/log-keyring.ts';
import { nodeSha256 } from '../keys/node-verifiers.ts';
import { generateReceiptKey } from '../keys/receipt-key.ts';
import { fileGuard, type Guard } from './guard.ts';
import { loadLog } from './load.ts';
import { openLog } from './open.ts';
import { registerFirstReceiptKey } from './receipt-keys.ts';
import { createLogReader } from './reader.ts';
import { startSequencer, type Sequencer } from './sequencer.ts';

const key = generateReceiptKey();
let logKey: LogKey;
let db: TestDatabase;
let log: LogHead;
let notifier: Notifier;
let wakeups: Wakeups;
let folder: string;
let guardFile: string;
const started: Sequencer[] = [];

beforeEach(async () => {
  logKey = generateLogKey();
  db = await testDatabase();
  log = await openLog(db.pool);
  await registerFirstReceiptKey(db.pool, log.logId, key);
  notifier = createNotifier(db.pool);
  wakeups = await createWakeups(db.url);
  folder = await mkdtemp(path.join(os.tmpdir(), 'beacon-log-'));
  guardFile = path.join(folder, 'state', 'log-guard.json');
});
afterEach(async () => {
  for (const sequencer of started.splice(0)) await sequencer[Symbol.asyncDispose]();
  await notifier[Symbol.asyncDispose]();
  await wakeups[Symbol.asyncDispose]();
  await db[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

function start(overrides: { logKey?: LogKey; guarded?: boolean; guard?: Guard } = {}): Sequencer {
  const sequencer = startSequencer({
    pool: db.pool,
    databaseUrl: db.url,
    logId: log.logId,
    logKeys: fixedLogKeyring(overrides.logKey ?? logKey),
    notifier,
    wakeups,
    guard: overrides.guarded === false ? undefined : (overrides.guard ?? fileGuard(guardFile)),
    log: createLogger('test', 'silent'),
  });
  started.push(sequencer);
  return sequencer;
}

const put = async (count: number) => {
  const leaves = Array.from({ length: count }, () => ({ leaf: randomBytes(40), keyId: key.id }));
  const subjects = await putPending(db.pool, log.logId, leaves);
  notifier.notify('log');
  return subjects;
};
/** Until the log has `size` entries and shows them. */
const sizeReaches = (size: number) =>
  eventually(async () => {
    const shown = await createLogReader(db.pool, log.logId).newestCheckpoint();
    return shown !== undefined && shown.size >= size ? true : undefined;
  });
const stateOf = (sequencer: Sequencer, state: string) =>
  eventually(() => (sequencer.status().state === state ? sequencer.status() : undefined));

async function asOwner(sql: string): Promise<void> {
  const pool = createPool({ databaseUrl: db.url, name: 'test owner', role: null });
  await pool.query(sql);
  await pool.end();
}

describe('the sequencer', () => {
  it('appends what is told, remembers what it signed, and publishes its verifier key', async () => {
    const sequencer = start();
    await put(3);
    await sizeReaches(4);
    const { root, note } = await createLogReader(db.pool, log.logId).checkpoint(4);
    const guarded: unknown = JSON.parse(await readFile(guardFile, 'utf8'));
    expect(guarded).toEqual({ origin: log.origin, size: 4, root: toHex(root), checkpoint: note });
    expect(sequencer.status()).toEqual({ state: 'leading', size: 4, rollbackGuard: 'file', error: null });
    const vkey = parseVkey((await findLog(db.pool))!.vkey!, nodeSha256);
    expect(vkey).toMatchObject({ name: log.origin, publicKey: logKey.publicKey });
    expect(await readSequencer(db.pool)).toMatchObject({
      state: 'leading',
      rollbackGuard: 'file',
      refusal: null,
    });
  });

  it('shows nothing before its guard has it, and shows it all once the guard does', async () => {
    const first = start();
    await sizeReaches(1);
    await first[Symbol.asyncDispose]();
    const whole = fileGuard(guardFile);
    const full: Guard = {
      read: whole.read,
      write: (head) => (head.size > 1 ? Promise.reject(new Error('disk full')) : whole.write(head)),
    };
    const [subject] = await put(1);
    const second = start({ guard: full });
    await eventually(async () => ((await findLog(db.pool))!.size === 2 ? true : undefined));
    const reader = createLogReader(db.pool, log.logId);
    expect((await reader.newestCheckpoint())!.size).toBe(1);
    await expect(reader.checkpoint(2)).rejects.toMatchObject({ code: 'no_checkpoint' });
    await expect(reader.entry({ executionId: subject! })).rejects.toMatchObject({ code: 'pending' });
    expect(await reader.tile({ level: 0, index: 0, width: 2 })).toBeUndefined();

    await second[Symbol.asyncDispose]();
    expect((await reader.newestCheckpoint())!.size).toBe(1);
    start();
    await sizeReaches(2);
    expect((await reader.entry({ executionId: subject! })).index).toBe(1);
    expect(await whole.read()).toMatchObject({ size: 2 });
  });

  it('leads alone; a standby takes over when it stops', async () => {
    const first = start();
    await stateOf(first, 'leading');
    const second = start();
    await put(5);
    await sizeReaches(6);
    expect(second.status().state).toBe('standby');
    await first[Symbol.asyncDispose]();
    expect(first.status().state).toBe('stopped');
    await stateOf(second, 'leading');
    await put(5);
    await sizeReaches(11);
  });

  it('steps back when another one led at the same time, says so, and goes on where that one was', async () => {
    const met: string[] = [];
    const sequencer = startSequencer({
      pool: db.pool,
      databaseUrl: db.url,
      logId: log.logId,
      logKeys: fixedLogKeyring(logKey),
      notifier,
      wakeups,
      guard: fileGuard(guardFile),
      events: {
        checkpointSigned: () => undefined,
        entryRefused: () => undefined,
        witnessAsked: () => undefined,
        sequencersMet: ({ logId }) => void met.push(logId),
      },
      faults: async (point) => {
        // Another process without the lock comes first, once.
        if (point !== 'before_append' || met.length > 0 || other !== undefined) return;
        if (!(await hasEntries())) return;
        other = sequence(
          db.pool,
          log.logId,
          await loadLog(db.pool, log.logId, undefined),
          logKey.signerFor(log.origin),
        );
        await other;
      },
      log: createLogger('test', 'silent'),
    });
    started.push(sequencer);
    let other: Promise<unknown> | undefined;
    const hasEntries = async () => (await findLog(db.pool))!.size > 0;
    await sizeReaches(1);
    await put(3);
    await sizeReaches(4);
    await eventually(() => (met.length > 0 ? true : undefined));
    await stateOf(sequencer, 'leading');
    await put(3);
    await sizeReaches(7);
    expect(met).toEqual([log.logId]);
    expect((await readSequencer(db.pool))?.metSecondsAgo).toBeLessThan(60);
    const { rows } = await db.pool.query('select subject_id from log_entries');
    expect(new Set(rows.map((row: { subject_id: string }) => row.subject_id)).size).toBe(7);
  });

  it('goes on after all its connections were cut', async () => {
    const sequencer = start();
    await stateOf(sequencer, 'leading');
    await put(5);
    await sizeReaches(6);
    const cut = `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`;
    await asOwner(cut);
    await eventually(async () => {
      await put(5);
      return true;
    });
    await sizeReaches(11);
    await stateOf(sequencer, 'leading');
  });

  it('signs nothing on a database that is behind its guard', async () => {
    const before = start();
    await put(5);
    await sizeReaches(6);
    await before[Symbol.asyncDispose]();
    const guarded = JSON.parse(await readFile(guardFile, 'utf8')) as object;
    await writeFile(guardFile, JSON.stringify({ ...guarded, size: 7 }));
    await put(5);
    const { error, state } = await stateOf(start(), 'refusing');
    expect({ state, error }).toEqual({ state: 'refusing', error: expect.stringContaining('7 were signed') });
    const told = await eventually(async () => {
      const said = await readSequencer(db.pool);
      return said?.state === 'refusing' ? said : undefined;
    });
    expect(told.refusal).toEqual({ code: 'rollback_detected', message: error });
    // It keeps the lead, so that no other sequencer on this database signs either.
    const other = start({ guarded: false });
    await expect(
      eventually(() => (other.status().state === 'leading' ? true : undefined), 1_500),
    ).rejects.toThrow();
    expect((await findLog(db.pool))!.size).toBe(6);
  });

  it('signs nothing when the entries under its guard are not those it signed', async () => {
    const before = start();
    await put(5);
    await sizeReaches(6);
    await before[Symbol.asyncDispose]();
    const guarded = JSON.parse(await readFile(guardFile, 'utf8')) as object;
    await writeFile(guardFile, JSON.stringify({ ...guarded, size: 3, root: '00'.repeat(32) }));
    expect((await stateOf(start(), 'refusing')).error).toContain('not those that were signed');
    await writeFile(guardFile, 'not JSON');
    await started.at(-1)![Symbol.asyncDispose]();
    expect((await stateOf(start(), 'refusing')).error).toContain('cannot be read');
  });

  it('accepts a database that is ahead of its guard, as after a crash before the guard was written', async () => {
    const before = start();
    await put(5);
    await sizeReaches(6);
    await before[Symbol.asyncDispose]();
    const { root } = await createLogReader(db.pool, log.logId).checkpoint(1);
    await writeFile(guardFile, JSON.stringify({ origin: log.origin, size: 1, root: toHex(root) }));
    await stateOf(start(), 'leading');
    await put(1);
    await sizeReaches(7);
  });

  it('signs nothing when the stored entries do not lead to the stored root', async () => {
    const before = start();
    await put(5);
    await sizeReaches(6);
    await before[Symbol.asyncDispose]();
    await asOwner(`update beacon.log_entries set leaf_hash = sha256('x') where idx = 4`);
    const sequencer = start({ guarded: false });
    expect(await stateOf(sequencer, 'refusing')).toMatchObject({
      error: expect.stringContaining('do not lead to the root'),
      rollbackGuard: 'none',
    });
  });

  it('signs nothing with another key than the first', async () => {
    const before = start();
    await sizeReaches(1);
    await before[Symbol.asyncDispose]();
    expect((await stateOf(start({ logKey: generateLogKey() }), 'refusing')).error).toContain('is signed by');
  });

  it('refuses a database that does not flush', async () => {
    const fake = { query: async () => ({ rows: [{ fsync: 'off' }] }) } as unknown as Parameters<
      typeof requireDurability
    >[0];
    await expect(requireDurability(fake)).rejects.toMatchObject({ code: 'fsync_off' });
    await expect(requireDurability(db.pool)).resolves.toBeUndefined();
  });
});

describe('the log of a database', () => {
  it('is made once, however many ask, and keeps its origin', async () => {
    await using fresh = await testDatabase();
    const logs = await Promise.all(Array.from({ length: 5 }, () => openLog(fresh.pool)));
    expect(new Set(logs.map(({ origin }) => origin)).size).toBe(1);
    expect(logs[0]!.origin).toMatch(/^[0-9a-f]{12}\.beacon\.local$/);
    expect(await openLog(fresh.pool, { origin: logs[0]!.origin })).toMatchObject({ logId: logs[0]!.logId });
    await expect(openLog(fresh.pool, { origin: 'other' })).rejects.toMatchObject({ code: 'origin_fixed' });
    await expect(openLog(fresh.pool, { origin: 'a b' })).rejects.toMatchObject({ code: 'origin_invalid' });
  });

  it('has one receipt key: the same again is fine, another one is refused', async () => {
    await registerFirstReceiptKey(db.pool, log.logId, key);
    const other = registerFirstReceiptKey(db.pool, log.logId, generateReceiptKey());
    await expect(other).rejects.toMatchObject({ code: 'receipt_key_not_in_log' });
    start();
    await sizeReaches(1);
    await registerFirstReceiptKey(db.pool, log.logId, key);
    const later = registerFirstReceiptKey(db.pool, log.logId, generateReceiptKey());
    await expect(later).rejects.toMatchObject({ code: 'receipt_key_not_in_log' });
  });
});
