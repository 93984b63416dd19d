import type { Context } from '../context.ts';
import { feedUrl } from '../http/address.ts';
import { readJob, type Api } from '../http/api.ts';
import { liveRegion } from '../text/live-region.ts';
import { coloursFor } from '../text/colour.ts';
import { followJob, type Update } from './follow-job.ts';
import { eventLine, progressLines } from './progress-lines.ts';
import { allLogged, newProgress, type JobProgress } from './progress.ts';

/** The table is drawn this often at most: a thousand executions say more in a second than a terminal can show. */
const REDRAW_MS = 100;

export interface ShowOptions {
  /** Shows nothing, just waits. */
  quiet?: boolean;
}

/**
 * Follows a job to its end and shows it: a table that changes in place on a terminal, a line per event elsewhere, JSON
 * lines with `--json`. Answers how it stood at the end.
 */
export async function showProgress(
  context: Context,
  api: Api,
  jobId: string,
  { quiet = false }: ShowOptions = {},
): Promise<JobProgress> {
  const updates = followJob({
    jobId,
    feedUrl: feedUrl(api.address.url),
    token: api.token,
    ticket: api.token === undefined ? api.ticket : undefined,
    read: () => readJob(api.client, jobId),
    signal: context.io.signal,
    ...(quiet ? {} : { settled: allLogged }),
  });
  const screen = screenOf(context, quiet);
  let progress = newProgress(jobId);
  try {
    for await (const update of updates) {
      progress = update.progress;
      screen.show(update);
    }
    return progress;
  } finally {
    screen.end();
  }
}

function screenOf(context: Context, quiet: boolean): Screen {
  if (quiet) return { show: () => undefined, end: () => undefined };
  if (context.json) return jsonLines(context);
  return context.io.stdout.isTty ? live(context) : plain(context);
}

interface Screen {
  show(update: Update): void;
  end(): void;
}

function jsonLines(context: Context): Screen {
  return {
    show(update) {
      if (update.kind === 'event') context.record(update.event);
    },
    end: () => undefined,
  };
}

function plain(context: Context): Screen {
  return {
    show(update) {
      if (update.kind === 'connection') context.note(CONNECTION[update.state]);
      if (update.kind !== 'event') return;
      const line = eventLine(update.event, update.progress);
      if (line !== undefined) context.line(line);
    },
    end: () => undefined,
  };
}

const CONNECTION = {
  polling: 'the feed cannot be had; asking the API from time to time',
  live: 'the feed is back',
};

function live(context: Context): Screen {
  const { stdout } = context.io;
  const region = liveRegion(stdout);
  const colours = coloursFor(stdout, context.io.env);
  let progress: JobProgress | undefined;
  let connection = '';
  const draw = (): void => {
    if (progress === undefined) return;
    const lines = progressLines(progress, Date.now(), stdout.columns() - 1, colours);
    region.update(connection === '' ? lines : [...lines, colours.yellow(connection)]);
  };
  const timer = setInterval(draw, REDRAW_MS);
  return {
    show(update) {
      const first = progress === undefined;
      progress = update.progress;
      if (update.kind === 'connection') connection = update.state === 'live' ? '' : CONNECTION.polling;
      if (first) draw();
    },
    end() {
      clearInterval(timer);
      region.update([]);
      if (progress === undefined) return;
      // What stays is the whole table, however low the window is.
      const lines = progressLines(progress, Date.now(), stdout.columns() - 1, colours);
      for (const line of lines) context.line(line);
    },
  };
}
