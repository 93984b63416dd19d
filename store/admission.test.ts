import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { jobSpec, signedSpec, submitOf } from '../test/support/jobs.ts';
import { testDatabase, type TestDatabase } from '../test/support/postgres.ts';
import { claimOutbox, markStartsSent } from './outbox.ts';
import { createSubmitter, type Submitter } from './submit.ts';

/** More keys than one claim looks at. */
const MANY_KEYS = 80;

let db: TestDatabase;
let submitter: Submitter;
beforeAll(async () => {
  db = await testDatabase();
  submitter = createSubmitter({ pool: db.pool, notifier: { notify: () => undefined } });
});
afterAll(async () => {
  await submitter[Symbol.asyncDispose]();
  await db[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await db.pool.query('delete from outbox');
});

async function submit(owner: string, count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, () => submitter.submit({ ...submitOf(signedSpec(jobSpec())), owner })),
  );
}

/** Owners in the order in which their jobs are started, `batch` at a time, by a window that is not full unless said. */
async function started(claims: number, batch: number, window = 100_000): Promise<string[]> {
  const owners: string[] = [];
  for (let claim = 0; claim < claims; claim++) {
    const { rows } = await claimOutbox(db.pool, { window, batch, leaseMs: 15_000 });
    await markStartsSent(
      db.pool,
      rows.map((row) => row.id),
      30_000,
    );
    owners.push(...rows.map((row) => row.owner));
  }
  return owners;
}

const keys = Array.from({ length: MANY_KEYS }, (_, i) => `key-${String(i).padStart(3, '0')}`);

describe('admission', () => {
  it('starts one job of each key before the second of any, also when more keys wait than a claim looks at', async () => {
    for (const key of keys) await submit(key, 1);
    await submit('flood', 200);
    const first = await started(MANY_KEYS + 1, 1);
    expect(new Set(first)).toEqual(new Set([...keys, 'flood']));
  });

  it('leaves no key behind when all have more than they can start', async () => {
    for (const key of keys) await submit(key, 4);
    const turns = new Map<string, number>(keys.map((key) => [key, 0]));
    for (const owner of await started(2 * MANY_KEYS, 1)) turns.set(owner, turns.get(owner)! + 1);
    expect(Math.min(...turns.values())).toBeGreaterThanOrEqual(1);
    expect(Math.max(...turns.values())).toBeLessThanOrEqual(3);
  });

  it('starts a job of a key with nothing open before those of a key that has, within one claim', async () => {
    await submit('flood', 30);
    await started(1, 10);
    await submit('single', 1);
    expect((await started(1, 5))[0]).toBe('single');
  });

  it('starts jobs of keys with nothing open beyond a full window: a tenth of it, and no second one', async () => {
    await submit('flood', 50);
    expect(await started(3, 100, 20)).toHaveLength(20);
    await submit('single', 2);
    expect(await started(3, 100, 20)).toEqual(['single']);
    for (const key of keys) await submit(key, 1);
    expect(await started(3, 100, 20)).toHaveLength(1);
  });

  it('fills the room there is from one key when no other waits', async () => {
    await submit('flood', 30);
    expect(await started(1, 20)).toHaveLength(20);
    expect(await started(1, 20)).toHaveLength(10);
    expect(await started(1, 20)).toEqual([]);
  });

  it('comes round to keys that wait before the place where the last look ended', async () => {
    for (const key of keys) await submit(key, 1);
    await started(3, 1);
    await submit('a key before all others', 1);
    expect(await started(MANY_KEYS, 1)).toContain('a key before all others');
  });
});
