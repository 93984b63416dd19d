import { expect, test } from 'vitest';
import { createSharedRead } from './shared-read.ts';

/** A read that ends when it is told to. */
function stepped() {
  const begun: { asked: readonly string[]; end: (told: string) => void; fail: (why: Error) => void }[] = [];
  const waiting: (() => void)[] = [];
  return {
    read: (asked: readonly string[]) =>
      new Promise<string>((end, fail) => {
        begun.push({ asked: [...asked], end, fail });
        waiting.shift()?.();
      }),
    next: () =>
      begun.length > 0
        ? Promise.resolve(begun.shift()!)
        : new Promise<void>((resolve) => waiting.push(resolve)).then(() => begun.shift()!),
  };
}

test('whoever asks while a read is under way is answered by the next one, together with others', async () => {
  const { read, next } = stepped();
  const ask = createSharedRead(read, 0);
  const [a, b] = [ask('a'), ask('b')];
  const first = await next();
  expect(first.asked).toEqual(['a', 'b']);
  const [c, d] = [ask('c'), ask('d')];
  first.end('first');
  expect(await Promise.all([a, b])).toEqual(['first', 'first']);
  const second = await next();
  expect(second.asked).toEqual(['c', 'd']);
  second.end('second');
  expect(await Promise.all([c, d])).toEqual(['second', 'second']);
});

test('a read that fails is told to those who waited for it, and to nobody else', async () => {
  const { read, next } = stepped();
  const ask = createSharedRead(read, 0);
  const a = ask('a');
  const first = await next();
  const b = ask('b');
  first.fail(new Error('gone'));
  await expect(a).rejects.toThrow('gone');
  (await next()).end('back');
  expect(await b).toBe('back');
});

test('while several ask at once, reads begin no more often than they may', async () => {
  const began: number[] = [];
  const ask = createSharedRead(() => Promise.resolve(began.push(performance.now())), 20);
  for (let time = 0; time < 4; time++) await Promise.all([ask('one'), ask('other')]);
  expect(began).toHaveLength(4);
  // A timer may be a millisecond early.
  expect(began.slice(1).every((at, i) => at - began[i]! >= 18)).toBe(true);
});

test('somebody who asks alone does not wait for that', async () => {
  const ask = createSharedRead(() => Promise.resolve('told'), 60_000);
  for (let time = 0; time < 4; time++) expect(await ask('again')).toBe('told');
});
