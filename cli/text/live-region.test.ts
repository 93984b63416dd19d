import { expect, test } from 'vitest';
import { liveRegion } from './live-region.ts';

/** As much of a terminal as the region uses: printing with wrapping, line feed, carriage return, up, clear. */
function terminal(columns: number, rows = 24) {
  const size = { columns, rows };
  let screen: string[] = [''];
  let [row, column] = [0, 0];
  const put = (character: string): void => {
    if (column >= size.columns) {
      row += 1;
      column = 0;
    }
    while (screen.length <= row) screen.push('');
    const line = screen[row] ?? '';
    screen[row] = line.slice(0, column).padEnd(column) + character + line.slice(column + 1);
    column += 1;
  };
  const write = (text: string): void => {
    for (const [, up, clear, plain] of text.matchAll(/\u001b\[(\d+)A|\u001b\[(2K|J)|([^])/gu)) {
      if (up !== undefined) row = Math.max(0, row - Number(up));
      else if (clear === '2K') screen[row] = '';
      else if (clear === 'J') {
        screen = screen.slice(0, row + 1);
        screen[row] = (screen[row] ?? '').slice(0, column);
      } else if (plain === '\n') {
        row += 1;
        column = 0;
        while (screen.length <= row) screen.push('');
      } else if (plain === '\r') column = 0;
      else put(plain ?? '');
    }
  };
  /** A narrower window breaks lines that no longer fit into several rows, as terminals do. */
  const narrow = (to: number): void => {
    const cursor = screen.slice(row);
    const before = screen.slice(0, row).flatMap((line) => line.match(new RegExp(`.{1,${to}}`, 'gu')) ?? ['']);
    screen = [...before, ...cursor];
    row = before.length;
    size.columns = to;
  };
  const shown = (): string[] => screen.map((line) => line.trimEnd()).filter((line) => line !== '');
  return {
    output: { write, isTty: true, columns: () => size.columns, rows: () => size.rows },
    narrow,
    shown,
  };
}

test('draws over its own lines, and fewer lines leave nothing behind', () => {
  const { output, shown } = terminal(40);
  output.write('before\n');
  const region = liveRegion(output);
  region.update(['one', 'two', 'three']);
  region.update(['ONE', 'TWO']);
  expect(shown()).toEqual(['before', 'ONE', 'TWO']);
});

test('cuts lines short of the last column, so that none wraps', () => {
  const { output, shown } = terminal(10);
  const region = liveRegion(output);
  for (let n = 0; n < 3; n += 1) region.update([`${n} a line that is far too long`, 'end']);
  expect(shown()).toEqual(['2 a line…', 'end']);
});

test('leaves no remains when the window becomes narrower', () => {
  const { output, narrow, shown } = terminal(40);
  const region = liveRegion(output);
  region.update(['a'.repeat(38), 'b'.repeat(38)]);
  narrow(20);
  region.update(['a', 'b']);
  expect(shown()).toEqual(['a', 'b']);
});

test('puts lasting lines above and keeps them', () => {
  const { output, shown } = terminal(40);
  const region = liveRegion(output);
  region.update(['working']);
  region.above('a note');
  region.update(['still working']);
  region.update([]);
  output.write('done\n');
  expect(shown()).toEqual(['a note', 'done']);
});

test('a table higher than the window says how much is missing', () => {
  const { output, shown } = terminal(60, 4);
  const region = liveRegion(output);
  region.update(['1', '2', '3', '4', '5']);
  expect(shown()).toEqual(['1', '2', '… 3 more; the window is too low']);
});
