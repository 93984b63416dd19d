import { expect, test } from 'vitest';
import { createLogGrowth } from './growth.ts';

test('one look at the log serves all who wait, and wakes those for whom it grew', async () => {
  let size = 5;
  let looks = 0;
  const growth = createLogGrowth(async () => {
    looks += 1;
    if (looks === 2) size = 6;
    return size;
  });
  const late = new AbortController();
  const waiting = [5, 5, 5, 6].map((beyond) => growth.wait(beyond, late.signal));
  expect(await Promise.all(waiting.slice(0, 3))).toEqual([true, true, true]);
  expect(looks).toBe(2);
  late.abort();
  expect(await waiting[3]).toBe(false);
  expect(await growth.wait(0, late.signal)).toBe(false);
});

test('whoever comes when too many wait is answered at once', async () => {
  const growth = createLogGrowth(async () => 0);
  const late = new AbortController();
  const waiting = Array.from({ length: 200 }, () => growth.wait(0, late.signal));
  expect(await growth.wait(0, new AbortController().signal)).toBe(false);
  late.abort();
  expect(await Promise.all(waiting)).toEqual(waiting.map(() => false));
});

test('a database that does not answer wakes everybody, to be told by their own question', async () => {
  const growth = createLogGrowth(() => Promise.reject(new Error('gone')));
  expect(await growth.wait(0, new AbortController().signal)).toBe(true);
});
