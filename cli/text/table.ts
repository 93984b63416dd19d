import { cut, cutMiddle, padTo, widthOf } from './width.ts';

export interface Column {
  title: string;
  align?: 'left' | 'right';
  /** May be cut down to this many cells on a narrow terminal; absent = never cut. */
  shrinkTo?: number;
  /** Stays whole on a terminal that is too narrow even for that: the line wraps. For names that are typed again. */
  whole?: boolean;
  /** Seen on every terminal: one that is too narrow to reach it shows these columns alone, names cut in their middle. */
  essential?: boolean;
  /** Cut in the middle, not at the end: for content addresses. */
  ends?: boolean;
}

const GAP = '  ';
/** Cells that a cut name keeps. */
const NAME_CELLS = 8;

/**
 * Lines of a table no wider than `width` cells (Infinity when nobody looks: a pipe or a file gets everything). The
 * widest columns that may shrink give way first. `rows` are printable text already.
 */
export function renderTable(
  columns: readonly Column[],
  rows: readonly string[][],
  width = Infinity,
): string[] {
  const widths = columns.map((column, at) =>
    Math.max(widthOf(column.title), ...rows.map((row) => widthOf(row[at] ?? ''))),
  );
  shrink(columns, widths, width - GAP.length * (columns.length - 1));
  if (reach(columns, widths) > width) return renderEssential(columns, rows, width);
  const line = (cells: readonly string[]): string =>
    columns
      .map((column, at) => {
        const room = widths[at] ?? 0;
        const text = (column.ends === true ? cutMiddle : cut)(cells[at] ?? '', room);
        return padTo(text, room, column.align);
      })
      .join(GAP)
      .trimEnd();
  const lines = [line(columns.map((column) => column.title)), ...rows.map(line)];
  const least = Math.max(width, wholeWidth(columns, widths));
  return lines.map((text) => (width === Infinity ? text : cut(text, least)));
}

function renderEssential(columns: readonly Column[], rows: readonly string[][], width: number): string[] {
  const kept = columns.flatMap((column, at) => (column.essential === true ? [{ column, at }] : []));
  return renderTable(
    kept.map(({ column: { title, align = 'left', whole } }) => ({
      title,
      align,
      ...(whole === true ? { shrinkTo: NAME_CELLS, ends: true } : {}),
    })),
    rows.map((cells) => kept.map(({ at }) => cells[at] ?? '')),
    width,
  );
}

/** Cells up to the last essential column, with the sign that more was cut off; 0 where none is essential. */
function reach(columns: readonly Column[], widths: readonly number[]): number {
  const last = columns.findLastIndex(({ essential }) => essential === true);
  if (last < 0) return 0;
  const cells = widths.slice(0, last + 1).reduce((sum, width) => sum + width, last * GAP.length);
  return last === columns.length - 1 ? cells : cells + 1;
}

/** Cells that a line has at least: up to the last column that stays whole, and the sign that more was cut off. */
function wholeWidth(columns: readonly Column[], widths: readonly number[]): number {
  const last = columns.findLastIndex(({ whole }) => whole === true);
  return widths.slice(0, last + 1).reduce((sum, width) => sum + width + GAP.length, 1);
}

function shrink(columns: readonly Column[], widths: number[], room: number): void {
  for (;;) {
    const excess = widths.reduce((sum, width) => sum + width, 0) - room;
    if (!(excess > 0)) return;
    let widest = -1;
    columns.forEach((column, at) => {
      const width = widths[at] ?? 0;
      if (column.shrinkTo === undefined || width <= column.shrinkTo) return;
      if (widest < 0 || width > (widths[widest] ?? 0)) widest = at;
    });
    if (widest < 0) return;
    widths[widest] = (widths[widest] ?? 1) - 1;
  }
}
