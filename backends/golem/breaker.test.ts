import { expect, it } from 'vitest';
import { eventually } from '../../test/support/eventually.ts';
import { createBreaker, type BreakerState } from './breaker.ts';

class Away extends Error {}
const away = () => Promise.reject(new Away('not there'));
const wrong = () => Promise.reject(new Error('bad request'));
const counts = (error: unknown): boolean => error instanceof Away;

it('opens after failures of the dependency, tries one call after a while, and closes when that succeeds', async () => {
  await using breaker = createBreaker({ name: 'yagna', counts, resetMs: 30 });
  const moves: [BreakerState, BreakerState][] = [];
  breaker.onMove((from, to) => moves.push([from, to]));
  let calls = 0;
  const down = () => {
    calls++;
    return away();
  };
  for (let i = 0; i < 3; i++) await expect(breaker.run(down)).rejects.toThrow('not there');
  for (let i = 0; i < 50; i++)
    await expect(breaker.run(down)).rejects.toMatchObject({ code: 'breaker_open' });
  expect(calls).toBe(3);
  await eventually(() => (breaker.stats().state === 'half_open' ? true : undefined));

  let letThrough = (): void => undefined;
  const trial = breaker.run(() => new Promise<string>((resolve) => (letThrough = () => resolve('back'))));
  await expect(breaker.run(down)).rejects.toMatchObject({ code: 'breaker_open' });
  letThrough();
  expect(await trial).toBe('back');
  expect(breaker.stats()).toMatchObject({ state: 'closed' });
  expect(moves).toEqual([
    ['closed', 'open'],
    ['open', 'half_open'],
    ['half_open', 'closed'],
  ]);
});

it('does not open for what is not the fault of the dependency', async () => {
  await using breaker = createBreaker({ name: 'yagna', counts });
  for (let i = 0; i < 20; i++) await expect(breaker.run(wrong)).rejects.toThrow('bad request');
  expect(breaker.stats()).toMatchObject({ state: 'closed', failures: 0 });
});

it('keeps the number of calls at once within its bound', async () => {
  await using breaker = createBreaker({ name: 'yagna', counts, atOnce: 2 });
  let go = (): void => undefined;
  const gate = new Promise<void>((resolve) => (go = resolve));
  const held = [breaker.run(() => gate), breaker.run(() => gate)];
  await expect(breaker.run(() => gate)).rejects.toMatchObject({ code: 'breaker_full' });
  go();
  await Promise.all(held);
  await expect(breaker.run(() => Promise.resolve(1))).resolves.toBe(1);
});

it('counts a call that does not come back as a failure', async () => {
  await using breaker = createBreaker({ name: 'yagna', counts, callMs: 10 });
  for (let i = 0; i < 3; i++)
    await expect(breaker.run(() => new Promise(() => undefined))).rejects.toThrow(/[Tt]imed out/);
  expect(breaker.stats()).toMatchObject({ state: 'open', failures: 3 });
  expect(breaker.stats().lastFailure).toMatch(/^20\d\d-/);
});

it('stays open by an operator’s word until he takes it back', async () => {
  await using breaker = createBreaker({ name: 'yagna', counts, resetMs: 1 });
  breaker.force('open');
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    await expect(breaker.run(() => Promise.resolve(1))).rejects.toMatchObject({ code: 'breaker_open' });
  }
  breaker.force('reset');
  await expect(breaker.run(() => Promise.resolve(1))).resolves.toBe(1);
});
