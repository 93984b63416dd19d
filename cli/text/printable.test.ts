import fc from 'fast-check';
import { expect, test } from 'vitest';
import { printable, printableJson, printableLine } from './printable.ts';

test('escapes what a terminal would obey or hide', () => {
  expect(printable('a\u001b[31mred\u0007')).toBe('a\\x1b[31mred\\x07');
  expect(printable('two\nlines\r')).toBe('two\\x0alines\\x0d');
  expect(printable('\u009b31m')).toBe('\\x9b31m');
  expect(printable('abc\u202etxt.exe')).toBe('abc\\u202etxt.exe');
  expect(printable('in\u200bvisible\ufeff\u2066')).toBe('in\\u200bvisible\\ufeff\\u2066');
  expect(printable('tag\u{e0041}')).toBe('tag\\u{e0041}');
  expect(printable('half\ud800')).toBe('half\\ud800');
});

test('leaves letters, emoji and accents of any script alone', () => {
  const text = 'Größe, 日本語, עברית, مرحبا, e\u0301, 🚀 & <b>';
  expect(printable(text)).toBe(text);
});

test("keeps the tabs of a program's output and nothing else", () => {
  expect(printableLine('a\tb\u001b[2J')).toBe('a\tb\\x1b[2J');
});

test('never lets a control character or a bidi override through, in text or in JSON', () => {
  const dangerous = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
      expect(printable(text)).not.toMatch(dangerous);
      expect(printableJson({ text })).not.toMatch(dangerous);
    }),
  );
});

test('escaped JSON is the same value', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(JSON.parse(printableJson(value, 2))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
  expect(JSON.parse(printableJson({ name: '\u202e\u{e0041}\u009b' }))).toEqual({
    name: '\u202e\u{e0041}\u009b',
  });
});
