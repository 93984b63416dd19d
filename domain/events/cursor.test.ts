import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatCursor, parseCursor } from './cursor.ts';

const cursors = fc.record({
  epoch: fc.stringMatching(/^[a-z0-9]{1,32}$/),
  position: fc.maxSafeNat(),
});

test('every cursor is read back as it was written', () => {
  fc.assert(
    fc.property(cursors, (cursor) => {
      expect(parseCursor(formatCursor(cursor))).toEqual(cursor);
    }),
  );
});

test('a text that is read is the only text of its cursor', () => {
  const nearly = fc.oneof(fc.string(), fc.stringMatching(/^[a-z0-9]{0,3}\.[-+0-9e ]{0,18}$/));
  fc.assert(
    fc.property(nearly, (text) => {
      const cursor = parseCursor(text);
      if (cursor !== undefined) expect(formatCursor(cursor)).toBe(text);
    }),
  );
});

test.each([
  '',
  '.',
  'abc',
  'abc.',
  '.5',
  'abc.-1',
  'abc.05',
  'abc.1.2',
  'abc.1\n',
  'ABC.1',
  'abc.9007199254740993',
])('refuses %j', (text) => expect(parseCursor(text)).toBeUndefined());
