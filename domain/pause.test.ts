import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { pause } from './pause.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('a pause ends after its time, and leaves nothing behind', async () => {
  const { signal } = new AbortController();
  const ended = vi.fn();
  const pausing = pause(1_000, signal).then(ended);
  await vi.advanceTimersByTimeAsync(999);
  expect(ended).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  await pausing;
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

it('a pause ends when it is aborted, and leaves no timer behind', async () => {
  const controller = new AbortController();
  const pausing = pause(1_000, controller.signal);
  controller.abort();
  await pausing;
  expect(vi.getTimerCount()).toBe(0);
});

it('a pause that is aborted before it began is none', async () => {
  await pause(1_000, AbortSignal.abort());
  expect(vi.getTimerCount()).toBe(0);
});
