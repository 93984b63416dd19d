import type { Output } from '../io.ts';
import { cut, widthOf } from './width.ts';

const UP = (lines: number): string => (lines > 0 ? `\u001b[${lines}A` : '');
const CLEAR_BELOW = '\u001b[J';
const CLEAR_LINE = '\u001b[2K';

export interface LiveRegion {
  /** Draws `lines` over what was drawn before; none clears it. */
  update(lines: readonly string[]): void;
  /** Puts a lasting line above the region. */
  above(line: string): void;
}

/**
 * Lines that stay at the bottom of a terminal and change in place. No line reaches the last column, so none wraps; when
 * the window became narrower meanwhile, the rows that the old lines now take are counted before going up.
 */
export function liveRegion(output: Output): LiveRegion {
  let drawn: readonly string[] = [];

  const rowsTaken = (): number => {
    const columns = Math.max(1, output.columns());
    return drawn.reduce((rows, line) => rows + Math.max(1, Math.ceil(widthOf(line) / columns)), 0);
  };
  const draw = (lines: readonly string[], lasting: readonly string[]): void => {
    const room = Math.max(1, output.columns() - 1);
    const height = Math.max(1, output.rows() - 1);
    const kept =
      lines.length <= height
        ? lines
        : [...lines.slice(0, height - 1), `… ${lines.length - height + 1} more; the window is too low`];
    const next = kept.map((line) => cut(line, room));
    const text = [...lasting, ...next].map((line) => `${CLEAR_LINE}${line}\n`).join('');
    const up = UP(rowsTaken());
    output.write(`${up}${up === '' ? '' : '\r'}${text}${CLEAR_BELOW}`);
    drawn = next;
  };
  return {
    update(lines) {
      if (lines.length === drawn.length && lines.every((line, at) => line === drawn[at])) return;
      draw(lines, []);
    },
    above: (line) => draw(drawn, [line]),
  };
}
