import type { Context } from '../context.ts';

const SAY_EVERY_MS = 2_000;

/** A line beside the result now and then, for audits that take long. */
export function createProgress(context: Context, goal: () => number) {
  const started = performance.now();
  let said = started;
  return {
    at(size: number): void {
      const now = performance.now();
      if (now - said < SAY_EVERY_MS) return;
      said = now;
      if (context.json) return;
      const of = goal();
      const share = of === 0 ? 100 : Math.floor((size * 100) / of);
      context.note(`audited ${size} of ${of} entries (${share} %), ${Math.round((now - started) / 1_000)} s`);
    },
  };
}
