import { expect, test } from 'vitest';
import type { Queryable } from '../../store/pool.ts';
import { createBacklog } from './backlog.ts';

function counting(limit = 10) {
  const asked: { resolve(n: number): void; reject(error: Error): void }[] = [];
  const clock = { ms: 0 };
  const query = async () => {
    const n = await new Promise<number>((resolve, reject) => asked.push({ resolve, reject }));
    return { rows: [{ n }] };
  };
  const backlog = createBacklog({ query } as unknown as Queryable, limit, () => clock.ms);
  return { asked, clock, backlog };
}

test('the first who asks waits for the count, later ones get the last count while a new one is made', async () => {
  const { asked, clock, backlog } = counting();
  const first = backlog.isFull();
  asked[0]!.resolve(9);
  expect(await first).toBe(false);
  expect(backlog.isFull()).toBe(false);
  expect(asked).toHaveLength(1);
  clock.ms = 1_000;
  expect(backlog.isFull()).toBe(false);
  expect(asked).toHaveLength(2);
  asked[1]!.resolve(10);
  await expect.poll(() => backlog.isFull()).toBe(true);
  expect(asked).toHaveLength(2);
});

test('a count that failed is told to those who waited for it, and the next who asks counts again', async () => {
  const { asked, backlog } = counting();
  const first = backlog.isFull();
  asked[0]!.reject(new Error('gone'));
  await expect(first).rejects.toThrow('gone');
  const second = backlog.isFull();
  asked[1]!.resolve(0);
  expect(await second).toBe(false);
});

test('the more room there is, the older the count may be', async () => {
  const { asked, clock, backlog } = counting(100_000);
  const first = backlog.isFull();
  asked[0]!.resolve(60_000);
  expect(await first).toBe(false);
  for (const [ms, counts] of [
    [3_900, 1],
    [4_000, 2],
    [4_900, 2],
    [5_000, 3],
  ] as const) {
    clock.ms = ms;
    expect(backlog.isFull()).toBe(false);
    expect(asked).toHaveLength(counts);
  }
  asked[2]!.resolve(99_999);
  await Promise.resolve();
  clock.ms = 6_000;
  expect(backlog.isFull()).toBe(false);
  expect(asked).toHaveLength(4);
});
