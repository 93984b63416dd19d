import type { Context } from '../context.ts';
import { duration } from '../text/duration.ts';
import { liveRegion } from '../text/live-region.ts';

const REDRAW_MS = 250;
/** Without a terminal a long step says now and then that it is still at it. */
const PLAIN_MS = 10_000;

export interface Steps {
  /** Runs one step and tells it: what it does, for how many seconds, how long it took. */
  run<T>(title: string, work: () => Promise<T>, done?: (result: T) => string): Promise<T>;
}

export function createSteps(context: Context): Steps {
  const { colours, io, json } = context;
  return {
    async run(title, work, done = () => title) {
      if (json) return work();
      const began = performance.now();
      const seconds = (): string => `${((performance.now() - began) / 1_000).toFixed(0)} s`;
      const region = io.stdout.isTty ? liveRegion(io.stdout) : undefined;
      if (region === undefined) context.line(`… ${title}`);
      const timer =
        region === undefined
          ? setInterval(() => context.line(`… ${title} (${seconds()})`), PLAIN_MS)
          : setInterval(() => region.update([`… ${title} (${seconds()})`]), REDRAW_MS);
      region?.update([`… ${title}`]);
      try {
        const result = await work();
        region?.update([]);
        context.line(
          `${colours.green('✓')} ${done(result)} ${colours.dim(`(${duration(performance.now() - began)})`)}`,
        );
        return result;
      } catch (thrown) {
        region?.update([]);
        context.line(
          `${colours.red('✗')} ${title} ${colours.dim(`(${duration(performance.now() - began)})`)}`,
        );
        throw thrown;
      } finally {
        clearInterval(timer);
      }
    },
  };
}
