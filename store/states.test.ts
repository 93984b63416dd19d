import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ATTEMPT_MOVES, EXECUTION_MOVES, JOB_MOVES } from '../domain/states.ts';
import { testDatabase, type TestDatabase } from '../test/support/postgres.ts';

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db[Symbol.asyncDispose]());

describe('the state machines of the database', () => {
  it.each([
    ['job', JOB_MOVES],
    ['execution', EXECUTION_MOVES],
    ['attempt', ATTEMPT_MOVES],
  ])('allow a %s exactly the moves of the domain', async (noun, moves) => {
    const { rows } = await db.pool.query<{ old: string; new: string }>(
      'select old, new from allowed_moves($1)',
      [noun],
    );
    const expected = Object.entries<readonly string[]>(moves).flatMap(([from, to]) =>
      to.map((next) => `${from}>${next}`),
    );
    expect(rows.map((row) => `${row.old}>${row.new}`).sort()).toEqual(expected.sort());
  });

  it('refuse any other move', async () => {
    await db.pool.query(
      `insert into jobs (id, owner, form, message_sha256, request_sha256, raw, name, plan, total, open)
       values ('j', 'k', 'P1', sha256('m'), sha256('r'), '', 'n', '{}', 1, 1)`,
    );
    await db.pool.query(
      `insert into executions (id, origin_id, job_id, idx) values (gen_random_uuid(), 'j', 'j', 0)`,
    );
    await expect(db.pool.query(`update executions set state = 'parked'`)).rejects.toThrow(
      /cannot move from pending to parked/,
    );
    await expect(db.pool.query(`update executions set state = 'completed'`)).rejects.toThrow(
      /terminal_has_receipt/,
    );
    await expect(db.pool.query(`update jobs set state = 'completed'`)).rejects.toThrow(/terminal_is_whole/);
  });

  it('keep what is insert-only from the services', async () => {
    for (const table of ['events', 'receipts', 'blocks', 'log_entries', 'log_tiles', 'log_checkpoints']) {
      await expect(db.pool.query(`delete from ${table}`)).rejects.toThrow(/permission denied/);
    }
  });
});
