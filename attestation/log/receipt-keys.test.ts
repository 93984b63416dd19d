import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { putPending } from '../../test/support/pending.ts';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.ts';
import { sequence } from '../../test/support/sequence.ts';
import { receiptKeyLives, type KeyLife } from '../../domain/receipt/verify-retirement.ts';
import { readKeyEntries } from '../../store/log-keys.ts';
import type { LogHead } from '../../store/log-state.ts';
import { createPool, withTransaction } from '../../store/pool.ts';
import { generateLogKey } from '../keys/log-key.ts';
import { nodeVerifiers } from '../keys/node-verifiers.ts';
import { generateReceiptKey, type ReceiptKey } from '../keys/receipt-key.ts';
import { loadLog } from './load.ts';
import { openLog } from './open.ts';
import { createLogReader } from './reader.ts';
import { endReceiptKey, registerFirstReceiptKey, startReceiptKey } from './receipt-keys.ts';

const [first, second, third] = [generateReceiptKey(), generateReceiptKey(), generateReceiptKey()] as const;
const logKey = generateLogKey();
let db: TestDatabase;
let log: LogHead;

beforeEach(async () => {
  db = await testDatabase();
  log = await openLog(db.pool);
  await registerFirstReceiptKey(db.pool, log.logId, first);
});
afterEach(() => db[Symbol.asyncDispose]());

const start = (key: ReceiptKey, newest: ReceiptKey) => startReceiptKey(db.pool, log.logId, key, newest);
const end = (key: ReceiptKey, signer: ReceiptKey) => endReceiptKey(db.pool, log.logId, key, signer);
const put = (key: ReceiptKey, count = 1) =>
  putPending(
    db.pool,
    log.logId,
    Array.from({ length: count }, () => ({ leaf: randomBytes(40), keyId: key.id })),
  );

/** Appends until nothing more goes in. */
async function appendAll(): Promise<void> {
  let loaded = await loadLog(db.pool, log.logId, undefined);
  for (let entries = 1; entries > 0;) {
    const appended = await sequence(db.pool, log.logId, loaded, logKey.signerFor(log.origin));
    ({ entries, log: loaded } = appended);
  }
}

async function entries(): Promise<{ index: number; key: string; of: string }[]> {
  const { rows } = await db.pool.query<{ index: number; key: string; of: string }>(
    `select idx as index, key_id as key, case when subject_kind = 'key' then subject_id || '/' || version else 'receipt' end as of
     from log_entries order by idx`,
  );
  return rows;
}

/** Another database in the place of the one that was used. */
async function empty(): Promise<void> {
  await db[Symbol.asyncDispose]();
  db = await testDatabase();
  log = await openLog(db.pool);
  await registerFirstReceiptKey(db.pool, log.logId, first);
}

/** What a verifier makes of the key entries under the newest checkpoint. */
async function lives(): Promise<Map<string, KeyLife>> {
  const reader = createLogReader(db.pool, log.logId);
  const checkpoint = await reader.checkpoint();
  const listed = await readKeyEntries(db.pool, log.logId, checkpoint.size);
  const proofs = await reader.prove(
    listed.map(({ index }) => index),
    checkpoint,
  );
  return receiptKeyLives(
    listed.map(({ index, dsse, leaf }, i) => ({
      index,
      dsse: dsse.toString('utf8'),
      leaf: leaf.toString('utf8'),
      hashes: proofs[i]!.hashes,
    })),
    checkpoint,
    nodeVerifiers,
  );
}

describe('rotating the receipt key', () => {
  it('logs the start by both keys, what is pending of the old one, and its end after all of that', async () => {
    await put(first, 2);
    expect(await start(second, first).catch((error: unknown) => error)).toMatchObject({
      code: 'key_refused',
    });
    await appendAll();
    await put(first);
    expect(await start(second, first)).toBe(true);
    await put(first);
    await put(second);
    expect(await end(first, second).catch((error: unknown) => error)).toMatchObject({ code: 'key_refused' });
    await appendAll();
    await put(first);
    expect(await end(first, second)).toBe(true);
    await put(second);
    await appendAll();
    expect((await entries()).map(({ of, key }) => [of, key])).toEqual([
      [`${first.id}/1`, first.id],
      ['receipt', first.id],
      ['receipt', first.id],
      ['receipt', first.id],
      [`${second.id}/1`, first.id],
      ['receipt', first.id],
      ['receipt', second.id],
      ['receipt', first.id],
      [`${first.id}/2`, second.id],
      ['receipt', second.id],
    ]);
    expect((await db.pool.query('select from log_pending')).rowCount).toBe(0);
    const found = await lives();
    expect([...found.values()].map(({ id, start, end }) => [id, start, end])).toEqual([
      [first.id, 0, 8],
      [second.id, 4, undefined],
    ]);
  });

  it('is the same when it is asked for twice', async () => {
    await appendAll();
    expect([await start(second, first), await start(second, first)]).toEqual([true, false]);
    await appendAll();
    expect([await end(first, second), await end(first, second)]).toEqual([true, false]);
    await appendAll();
    expect([await start(second, first), await end(first, second)]).toEqual([false, false]);
    expect((await entries()).length).toBe(3);
  });

  it('is refused where the next key would not follow the newest, or nothing would be left', async () => {
    await appendAll();
    const refused = (attempt: Promise<boolean>) =>
      expect(attempt).rejects.toMatchObject({ code: 'key_refused' });
    await refused(start(third, second));
    await refused(end(first, first));
    await refused(end(second, first));
    await start(second, first);
    await refused(start(third, second));
    await appendAll();
    await refused(start(third, first));
    await refused(end(second, first));
    await refused(end(first, third));
    await start(third, second);
    await appendAll();
    await end(second, third);
    await refused(end(first, second));
    await end(first, third);
    await appendAll();
    expect([...(await lives()).values()].map(({ end }) => end)).toEqual([4, 3, undefined]);
  });
});

describe('a key that has ended', () => {
  beforeEach(async () => {
    await appendAll();
    await start(second, first);
    await appendAll();
  });

  it('takes nothing more from the moment in which its end is made, whoever asks', async () => {
    await end(first, second);
    await expect(put(first)).rejects.toMatchObject({ code: 'BK001' });
    await put(second);
    await appendAll();
    await expect(put(first)).rejects.toMatchObject({ code: 'BK001' });
    expect((await db.pool.query('select from log_pending')).rowCount).toBe(0);
  });

  it('waits for what is under way: that comes before its end', async () => {
    let ended: Promise<boolean> | undefined;
    await withTransaction(db.pool, async (tx) => {
      await tx.query(
        `insert into log_pending (log_id, subject_kind, subject_id, version, leaf, key_id) values ($1, 'job', 'job-1', 1, 'leaf', $2)`,
        [log.logId, first.id],
      );
      ended = end(first, second);
      // The end waits for this transaction: nothing of it is there meanwhile.
      await expect(Promise.race([ended, tx.query('select pg_sleep(0.2)').then(() => 'waits')])).resolves.toBe(
        'waits',
      );
    });
    expect(await ended).toBe(true);
    await appendAll();
    expect((await entries()).slice(-2)).toMatchObject([{ of: 'receipt' }, { of: `${first.id}/2` }]);
  });

  it('gets nothing into the log that came to be pending all the same', async () => {
    await end(first, second);
    await appendAll();
    const owner = createPool({ databaseUrl: db.url, name: 'test owner', role: null });
    await owner.query('alter table beacon.log_pending disable trigger log_pending_keys');
    await owner.end();
    const [stray] = await put(first);
    await put(second);
    await appendAll();
    const { rows } = await db.pool.query('select subject_id, refused from log_pending');
    expect(rows).toEqual([{ subject_id: stray, refused: `its key ${first.id} has ended` }]);
    expect((await entries()).at(-1)).toMatchObject({ key: second.id });
  });
});

describe('whatever is asked of keys, in whatever order', () => {
  it('every entry lies between the start and the end of its key', async () => {
    const keys = [first, second, third];
    const step = fc.record({
      what: fc.constantFrom('put', 'put', 'start', 'end', 'append'),
      key: fc.nat(2),
      by: fc.nat(2),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        await empty();
        for (const { what, key, by } of steps) {
          const [one, other] = [keys[key]!, keys[by]!];
          const tried =
            what === 'put'
              ? put(one)
              : what === 'start'
                ? start(one, other)
                : what === 'end'
                  ? end(one, other)
                  : appendAll();
          await tried.catch((error: unknown) => {
            expect(['key_refused', 'BK001']).toContain((error as { code?: string }).code);
          });
        }
        await appendAll();
        const found = await lives();
        for (const { index, key, of } of await entries()) {
          if (of !== 'receipt') continue;
          const { start: from, end: to = Infinity } = found.get(key)!;
          expect(index).toBeGreaterThan(from);
          expect(index).toBeLessThan(to);
        }
      }),
      { numRuns: 8 },
    );
  });
});
