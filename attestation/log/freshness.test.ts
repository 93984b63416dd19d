import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verifyCosignature } from '../../domain/log/cosignature.ts';
import { parseNote } from '../../domain/log/note.ts';
import { createLogger } from '../../observability/log.ts';
import { pruneCheckpoints, readCosignatures, readFreshness } from '../../store/log-cosignatures.ts';
import type { LogHead } from '../../store/log-state.ts';
import { createNotifier, createWakeups, type Notifier, type Wakeups } from '../../store/notify.ts';
import { createPool } from '../../store/pool.ts';
import { eventually } from '../../test/support/eventually.ts';
import { putPending } from '../../test/support/pending.ts';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { loadCosigner } from '../keys/cosigner-key.ts';
import { generateLogKey } from '../keys/log-key.ts';
import { fixedLogKeyring } from '../keys/log-keyring.ts';
import { nodeVerifiers } from '../keys/node-verifiers.ts';
import { generateReceiptKey } from '../keys/receipt-key.ts';
import { folderMemory } from '../witness/memory.ts';
import type { OwnCosigner } from './freshness.ts';
import { endLogKey, startLogKey } from './log-keys.ts';
import { openLog } from './open.ts';
import { createLogReader } from './reader.ts';
import { registerFirstReceiptKey } from './receipt-keys.ts';
import { startSequencer, type Sequencer } from './sequencer.ts';

const receiptKey = generateReceiptKey();
const [logKey, nextKey] = [generateLogKey(), generateLogKey()] as const;
let db: TestDatabase;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let log: LogHead;
let notifier: Notifier;
let wakeups: Wakeups;
let cosigner: OwnCosigner;
const started: Sequencer[] = [];

beforeEach(async () => {
  db = await testDatabase();
  folder = await temporaryFolder();
  log = await openLog(db.pool, { origin: 'beacon.test/log' });
  await registerFirstReceiptKey(db.pool, log.logId, receiptKey);
  notifier = createNotifier(db.pool);
  wakeups = await createWakeups(db.url);
  cosigner = {
    signer: await loadCosigner(
      { file: path.join(folder.path, 'keys', 'cosigner.pem') },
      'beacon.test/cosigner',
    ),
    memory: folderMemory(path.join(folder.path, 'cosigned')),
    everyMs: 50,
  };
});
afterEach(async () => {
  await stop();
  for (const part of [notifier, wakeups, db, folder]) await part[Symbol.asyncDispose]();
});

async function stop(): Promise<void> {
  for (const sequencer of started.splice(0)) await sequencer[Symbol.asyncDispose]();
}
function start(): Sequencer {
  const sequencer = startSequencer({
    pool: db.pool,
    databaseUrl: db.url,
    logId: log.logId,
    logKeys: fixedLogKeyring(logKey, nextKey),
    notifier,
    wakeups,
    cosigner,
    log: createLogger('test', 'silent'),
  });
  started.push(sequencer);
  return sequencer;
}
async function put(count = 1): Promise<void> {
  await putPending(
    db.pool,
    log.logId,
    Array.from({ length: count }, () => ({ leaf: randomBytes(40), keyId: receiptKey.id })),
  );
  notifier.notify('log');
}
/** Until the newest checkpoint has `size` entries and is cosigned; its lines. */
const cosigned = (size: number) =>
  eventually(async () => {
    const newest = await createLogReader(db.pool, log.logId).newestCheckpoint();
    if (newest === undefined || newest.size < size) return undefined;
    const lines = await readCosignatures(db.pool, log.logId, newest.size);
    return lines.length > 0 ? { newest, lines } : undefined;
  });
async function asOwner(sql: string): Promise<void> {
  const pool = createPool({ databaseUrl: db.url, name: 'test owner', role: null });
  await pool.query(sql);
  await pool.end();
}
const sizes = async (): Promise<number[]> => {
  const { rows } = await db.pool.query<{ size: number }>('select size from log_checkpoints order by size');
  return rows.map(({ size }) => size);
};

describe('the own cosigner', () => {
  it('says again and again, under a key of its own, that the newest checkpoint is the newest', async () => {
    start();
    await put(3);
    const { newest, lines } = await cosigned(4);
    const { text } = parseNote(newest.note);
    const line = lines[0]!.line.trimEnd();
    expect(verifyCosignature(text, line, [cosigner.signer], nodeVerifiers)?.key.name).toBe(
      'beacon.test/cosigner',
    );
    const first = await readFreshness(db.pool);
    expect(first?.ageSeconds).toBeLessThan(5);
    await put();
    await cosigned(5);
    await eventually(async () => {
      const count = await db.pool.query('select from log_cosignatures where size = 5');
      return count.rowCount! > 1 ? true : undefined;
    });
    expect(await readCosignatures(db.pool, log.logId, 5)).toHaveLength(1);
  });

  it('refuses a log that does not continue what it cosigned, though nothing else would notice', async () => {
    start();
    await put(3);
    await cosigned(4);
    await stop();
    // Another database under the same origin and keys, as after a failover to a copy that lost the last entries.
    const lost = db;
    db = await testDatabase();
    for (const part of [notifier, wakeups, lost]) await part[Symbol.asyncDispose]();
    notifier = createNotifier(db.pool);
    wakeups = await createWakeups(db.url);
    log = await openLog(db.pool, { origin: 'beacon.test/log' });
    await registerFirstReceiptKey(db.pool, log.logId, receiptKey);
    const behind = start();
    const refusing = () =>
      eventually(() => (behind.status().state === 'refusing' ? behind.status().error : undefined));
    expect(await refusing()).toContain('cosigned 4');
    await stop();
    await put(10);
    // Now it is longer, but another history.
    cosigner = { ...cosigner, everyMs: 60_000 };
    const memory = cosigner.memory;
    let asked = false;
    cosigner.memory = {
      ...memory,
      async read(origin) {
        // Not before there are more entries than were cosigned.
        if (!asked) await eventually(async () => ((await sizes()).at(-1)! > 4 ? true : undefined));
        asked = true;
        return memory.read(origin);
      },
    };
    const other = start();
    const error = await eventually(() =>
      other.status().state === 'refusing' ? other.status().error : undefined,
    );
    expect(error).toMatch(/own cosigner refuses|cosigned 4/);
  });
});

describe('the history of checkpoints', () => {
  it('keeps after a day what is cosigned, the last of each minute and of each key, and the newest', async () => {
    cosigner.everyMs = 60_000;
    start();
    for (let size = 2; size <= 6; size += 1) {
      await put();
      await eventually(async () => ((await sizes()).at(-1) === size ? true : undefined));
    }
    await startLogKey(db.pool, log, nextKey, logKey);
    await eventually(async () => ((await sizes()).at(-1) === 7 ? true : undefined));
    await put();
    await eventually(async () => ((await sizes()).at(-1) === 8 ? true : undefined));
    await endLogKey(db.pool, log, logKey, nextKey);
    await eventually(async () => ((await sizes()).at(-1) === 9 ? true : undefined));
    for (let size = 10; size <= 13; size += 1) {
      await put();
      await eventually(async () => ((await sizes()).at(-1) === size ? true : undefined));
    }
    await stop();
    const all = await sizes();
    expect(all.slice(-12)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
    await asOwner('delete from beacon.log_cosignatures');
    expect(await pruneCheckpoints(db.pool, log.logId)).toBe(0);
    const on = (size: string, time: string) =>
      asOwner(`update beacon.log_checkpoints set signed_at = '2026-01-01T${time}Z' where ${size}`);
    await on('size <= 3', '10:00:20');
    await on('size between 4 and 6', '10:01:10');
    await on('size between 7 and 13', '10:02:59');
    await asOwner(
      `insert into beacon.log_cosignatures (log_id, size, cosigner, key_id, line, signed_at, received_at)
       select '${log.logId}', 5, 'w', '00112233', 'line ' || n, '2026-01-01T10:01:11Z'::timestamptz + n * interval '1 s', '2026-01-01T11:00:00Z'
       from generate_series(1, 3) n`,
    );
    expect(await pruneCheckpoints(db.pool, log.logId)).toBe(all.length - 5);
    // 3, 6: last of their minutes; 5: cosigned; 8: the last of the key that ended at entry 8; 13: the newest.
    expect(await sizes()).toEqual([3, 5, 6, 8, 13]);
    expect(await pruneCheckpoints(db.pool, log.logId)).toBe(0);
    const kept = await db.pool.query<{ line: string }>('select line from log_cosignatures');
    expect(kept.rows).toEqual([{ line: 'line 3' }]);
  });

  it('cannot be shortened by the services themselves', async () => {
    for (const table of ['log_checkpoints', 'log_cosignatures'])
      await expect(db.pool.query(`delete from ${table}`)).rejects.toThrow('permission denied');
  });
});
