import type { Output } from '../io.ts';

export interface Colours {
  bold(text: string): string;
  dim(text: string): string;
  green(text: string): string;
  red(text: string): string;
  yellow(text: string): string;
}

const paint =
  (on: boolean, open: number, close: number) =>
  (text: string): string =>
    on ? `\u001b[${open}m${text}\u001b[${close}m` : text;

/** Colours for `output`: only on a terminal, not with NO_COLOR (https://no-color.org) and not on a dumb one. */
export function coloursFor(output: Output, env: Record<string, string | undefined>): Colours {
  const refused = (env.NO_COLOR ?? '') !== '' || env.TERM === 'dumb';
  const on = output.isTty && !refused;
  return {
    bold: paint(on, 1, 22),
    dim: paint(on, 2, 22),
    green: paint(on, 32, 39),
    red: paint(on, 31, 39),
    yellow: paint(on, 33, 39),
  };
}
