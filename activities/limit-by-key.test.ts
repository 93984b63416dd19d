import { expect, it } from 'vitest';
import { limitByKey } from './limit-by-key.ts';

it('runs no more of a key than its limit, even when a place is taken in the moment it becomes free', async () => {
  const limited = limitByKey(2);
  let running = 0;
  let most = 0;
  const work = async (): Promise<void> => {
    most = Math.max(most, ++running);
    for (let tick = 0; tick < 5; tick++) await Promise.resolve();
    running--;
  };
  const all: Promise<void>[] = [];
  for (let i = 0; i < 50; i++) {
    all.push(limited('a', work));
    await Promise.resolve();
  }
  await Promise.all(all);
  expect(most).toBe(2);
});

it('does not let one key wait for another, and goes on after a failure', async () => {
  const limited = limitByKey(1);
  const never = new Promise<void>(() => undefined);
  void limited('busy', () => never);
  await expect(limited('free', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  await expect(limited('free', () => Promise.resolve(1))).resolves.toBe(1);
});
