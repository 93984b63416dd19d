import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LogLines, lineClock } from './log-lines.ts';

const LINE_BYTES = 16 * 1024;

function cut(bytes: Buffer, pieces: number[]): string[] {
  const lines: string[] = [];
  const log = new LogLines((line) => lines.push(line));
  let start = 0;
  for (const piece of pieces) {
    log.push(bytes.subarray(start, start + piece));
    start += piece;
  }
  log.push(bytes.subarray(start));
  log.end();
  return lines;
}

test('lines are the same however the bytes arrive, and nothing is lost', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', maxLength: 300 }),
      fc.array(fc.nat(40), { maxLength: 20 }),
      (text, pieces) => {
        const wanted = text.replaceAll('\0', '\uFFFD').split('\n');
        if (wanted.at(-1) === '') wanted.pop();
        expect(cut(Buffer.from(text), pieces)).toEqual(wanted);
      },
    ),
  );
});

test('a line beyond the bound goes on in the next, without splitting a character', () => {
  const text = 'ä'.repeat(20_000);
  const lines = cut(Buffer.from(`x${text}\nend`), [10_001, 9_999]);
  expect(lines.at(-1)).toBe('end');
  expect(lines.slice(0, -1).join('')).toBe(`x${text}`);
  for (const line of lines) expect(Buffer.byteLength(line)).toBeLessThanOrEqual(LINE_BYTES);
});

test('what is no UTF-8, and NUL, is replaced', () => {
  expect(cut(Buffer.from([0x61, 0xff, 0x00, 0x62]), [])).toEqual(['a\uFFFD\uFFFDb']);
});

test('no two lines of an attempt have the same time', () => {
  const clock = lineClock();
  const times = Array.from({ length: 1_000 }, clock);
  expect(new Set(times).size).toBe(1_000);
  expect(times).toEqual([...times].sort((a, b) => a - b));
});
