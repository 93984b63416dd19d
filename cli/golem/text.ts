import type { Context } from '../context.ts';
import { printable } from '../text/printable.ts';
import { renderTable, type Column } from '../text/table.ts';

/** Rows as a table with a dim head, as wide as the terminal. */
export function showTable(context: Context, columns: readonly Column[], rows: readonly string[][]): void {
  const width = context.io.stdout.isTty ? context.io.stdout.columns() : Infinity;
  const [head = '', ...lines] = renderTable(columns, rows, width);
  context.line(context.colours.dim(head));
  for (const line of lines) context.line(line);
}

/** `0.250000000000000000` as people write it. */
export function amount(text: string): string {
  return printable(text.replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, ''));
}

/** `3 by price, 1 by blacklist`. */
export function countedBy(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([rule, count]) => `${count} by ${printable(rule)}`)
    .join(', ');
}
