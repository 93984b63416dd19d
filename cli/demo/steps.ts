import { silentProgress, type Progress } from '../../embedded/progress.ts';
import type { Context } from '../context.ts';
import { duration } from '../text/duration.ts';
import { liveRegion } from '../text/live-region.ts';
import { printable } from '../text/printable.ts';

const REDRAW_MS = 250;
/** Without a terminal a long step says now and then that it is still at it. */
const PLAIN_MS = 10_000;

export interface Steps {
  /** Runs one step and shows it: what it does, for how long already, what it says meanwhile, how long it took. */
  run<T>(title: string, work: (progress: Progress) => Promise<T>, done?: (result: T) => string): Promise<T>;
}

/** What the progress of one step is given to may outlive it (a stack speaks when it stops, too): it then speaks to the next. */
export function createSteps(context: Context): Steps {
  if (context.json) return { run: (_title, work) => work(silentProgress) };
  const { colours } = context;
  let current: Step | undefined;
  const progress: Progress = {
    say: (line) => current?.say(line),
    update: (line) => current?.update(line),
  };
  return {
    async run(title, work, done = () => title) {
      const began = performance.now();
      const took = (): string => colours.dim(`(${duration(performance.now() - began)})`);
      const step = context.io.stdout.isTty ? liveStep(context, title) : plainStep(context, title);
      current = step;
      try {
        const result = await work(progress);
        step.end(`${colours.green('✓')} ${done(result)} ${took()}`);
        return result;
      } catch (thrown) {
        step.end(`${colours.red('✗')} ${title} ${took()}`);
        throw thrown;
      } finally {
        current = undefined;
      }
    },
  };
}

type Step = Progress & { end(line: string): void };

/** One line that changes in place; facts are put above it. */
function liveStep({ io, colours, line }: Context, title: string): Step {
  const region = liveRegion(io.stdout);
  const began = performance.now();
  let detail = '';
  const draw = (): void => {
    const seconds = `${((performance.now() - began) / 1_000).toFixed(0)} s`;
    region.update([`… ${title} (${seconds})${detail}`]);
  };
  const timer = setInterval(draw, REDRAW_MS);
  draw();
  return {
    say: (text) => region.above(colours.dim(`  ${printable(text)}`)),
    update(text) {
      detail = `: ${printable(text)}`;
      draw();
    },
    end(last) {
      clearInterval(timer);
      region.update([]);
      line(last);
    },
  };
}

function plainStep({ line }: Context, title: string): Step {
  const began = performance.now();
  let detail = '';
  line(`… ${title}`);
  const timer = setInterval(
    () => line(`… ${title} (${duration(performance.now() - began)})${detail}`),
    PLAIN_MS,
  );
  return {
    say: (text) => line(`  ${printable(text)}`),
    update(text) {
      detail = `: ${printable(text)}`;
    },
    end(last) {
      clearInterval(timer);
      line(last);
    },
  };
}
