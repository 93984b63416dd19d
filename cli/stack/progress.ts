import type { Progress } from '../../embedded/progress.ts';
import type { Context } from '../context.ts';
import { printable } from '../text/printable.ts';
import { cut } from '../text/width.ts';

/** Without a terminal the state of a long step is a line of its own, so only now and then. */
const PLAIN_UPDATE_MS = 10_000;
const CLEAR_LINE = '\r\u001b[2K';

/**
 * What the stack does, on standard error: facts stay, the state of a step changes in place on a terminal. `end` clears
 * what is left of the changing line.
 */
export function stackProgress({ io, json }: Context): Progress & { end(): void } {
  const { stderr } = io;
  let open = false;
  let lastMs = performance.now();
  const clear = (): void => {
    if (open) stderr.write(CLEAR_LINE);
    open = false;
  };
  const show = (text: string): void => {
    if (json) return;
    if (stderr.isTty) {
      stderr.write(`${CLEAR_LINE}${cut(printable(text), stderr.columns() - 1)}`);
      open = true;
    } else if (performance.now() - lastMs >= PLAIN_UPDATE_MS) {
      stderr.write(`${printable(text)}\n`);
      lastMs = performance.now();
    }
  };
  return {
    say(line) {
      if (json) return;
      clear();
      stderr.write(`${printable(line)}\n`);
      lastMs = performance.now();
    },
    update: show,
    end: clear,
  };
}
