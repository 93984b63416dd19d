import fc from 'fast-check';
import { expect, test } from 'vitest';
import { renderTable, type Column } from './table.ts';
import { cut, cutMiddle, widthOf } from './width.ts';

const COLUMNS: Column[] = [
  { title: 'N', align: 'right' },
  { title: 'NAME', shrinkTo: 4 },
  { title: 'CID', shrinkTo: 9, ends: true },
];
const CID = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';

test('shows everything when nobody set a width', () => {
  expect(renderTable(COLUMNS, [['1', 'alpha', CID]])).toEqual([`N  NAME   CID`, `1  alpha  ${CID}`]);
});

test('cuts a content address in its middle and keeps both ends', () => {
  const [, line = ''] = renderTable(COLUMNS, [['12', 'alpha', CID]], 30);
  expect(line).toMatch(/^12 {2}alpha {2}bafk.*….*52zy$/);
  expect(widthOf(line)).toBeLessThanOrEqual(30);
});

test('a terminal too narrow for what must be seen shows that alone, and a name by its ends', () => {
  const columns: Column[] = [
    { title: 'JOB', whole: true, essential: true },
    { title: 'REGION', shrinkTo: 4 },
    { title: 'STATUS', essential: true },
    { title: 'CREATED' },
  ];
  const id = '0197a000-0000-7000-8000-00000000000a';
  const at = (width: number) => renderTable(columns, [[id, 'APAC', 'completed', '2026-01-01']], width);
  expect(at(80)[1]).toBe(`${id}  APAC    completed  2026-01-01`);
  expect(at(55)[1]).toBe(`${id}  APAC  completed …`);
  expect(at(52)[1]).toBe(`${id}  completed`);
  expect(at(40)).toEqual([
    `JOB                            STATUS`,
    `0197a000-0000-…0-00000000000a  completed`,
  ]);
  expect(at(20)[1]).toBe('0197…000a  completed');
  for (let width = 5; width < 80; width++)
    for (const line of at(width)) expect(widthOf(line)).toBeLessThanOrEqual(width);
});

test('no line is ever wider than asked for, with wide letters and colours too', () => {
  const cell = fc.oneof(
    fc.string({ maxLength: 30 }),
    fc.constantFrom('日本語テスト', '🚀🚀', 'e\u0301e\u0301', CID),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(cell, cell, cell), { maxLength: 6 }),
      fc.integer({ min: 5, max: 120 }),
      (rows, width) => {
        for (const line of renderTable(COLUMNS, rows, width))
          expect(widthOf(line)).toBeLessThanOrEqual(width);
      },
    ),
  );
});

test('counts cells, not characters', () => {
  expect(widthOf('日本')).toBe(4);
  expect(widthOf('e\u0301')).toBe(1);
  expect(widthOf('\u001b[31mred\u001b[39m')).toBe(3);
  expect(cut('日本語', 5)).toBe('日本…');
  expect(cut('abcdef', 3)).toBe('ab…');
  expect(cutMiddle('0123456789abcdef', 9)).toBe('0123…cdef');
});
