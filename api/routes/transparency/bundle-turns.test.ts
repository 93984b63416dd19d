import { expect, test } from 'vitest';
import { createBundleTurns } from './bundle-turns.ts';

const { signal } = new AbortController();

test('two bundles are made at a time, a few wait, the next is told when to come back', async () => {
  const turns = createBundleTurns();
  let running = 0;
  let most = 0;
  const ends: (() => void)[] = [];
  const start = () =>
    turns.start(signal, async () => {
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => ends.push(resolve));
      running--;
    });
  const started = Array.from({ length: 10 }, start);
  await expect(start()).rejects.toMatchObject({ code: 'bundles_busy', status: 503, retryAfterS: 2 });
  const all = Promise.all(started);
  for (let ended = 0; ended < 10; ended++) {
    await expect.poll(() => ends.length).toBeGreaterThan(0);
    ends.shift()!();
  }
  await all;
  expect(most).toBe(2);
  ends.length = 0;
  const late = start();
  await expect.poll(() => ends.length).toBe(1);
  ends[0]!();
  await late;
});

test('a client that does not read holds no turn', async () => {
  const turns = createBundleTurns();
  async function* pieces() {
    yield 'a';
    yield 'b';
  }
  const idle = Array.from({ length: 5 }, () => turns.each(signal, pieces()));
  for (const one of idle) expect(await one.next()).toMatchObject({ value: 'a' });
  expect(await turns.start(signal, async () => 'made')).toBe('made');
  expect(await idle[0]!.next()).toMatchObject({ value: 'b' });
  expect(await idle[0]!.next()).toMatchObject({ done: true });
});
