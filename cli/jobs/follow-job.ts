import { setTimeout as delay } from 'node:timers/promises';
import { CliError } from '../failure.ts';
import { backoffMs } from '../http/backoff.ts';
import type { JobAnswer } from '../http/answers.ts';
import { openFeed, type FeedConnection } from '../http/feed.ts';
import type { FeedEvent } from '../http/feed-frames.ts';
import { applyEvent, applySnapshot, jobEnded, newProgress, type JobProgress } from './progress.ts';

/** Even a live connection is checked this often against the job itself: a feed may be late, the job's row never is. */
const NET_POLL_MS = 10_000;
/** How long neither feed nor API may answer before following is given up. */
const GIVE_UP_MS = 60_000;
/** How long log entries are waited for after the end; a proof normally follows within a tenth of a second. */
const LINGER_MS = 3_000;

export type Update =
  | { kind: 'event'; event: FeedEvent; progress: JobProgress }
  | { kind: 'snapshot'; progress: JobProgress }
  | { kind: 'connection'; state: 'live' | 'polling'; progress: JobProgress };

export interface FollowOptions {
  jobId: string;
  feedUrl: string;
  /** Of the operator, to see a private job. */
  token?: string | undefined;
  /** Asked before each connection, after the job was read once: a ticket for the feed, where it takes one. */
  ticket?: (() => Promise<string | undefined>) | undefined;
  /** Reads the job with all its executions. */
  read(): Promise<JobAnswer>;
  signal: AbortSignal;
  /** What else must be known before following ends; default nothing. Waited for `LINGER_MS` at most. */
  settled?: (progress: JobProgress) => boolean;
}

/**
 * Follows a job to its end: snapshot, then the feed's events. When the feed breaks, the job is polled in the rhythm in
 * which the feed is tried again (backoff with jitter), from the cursor where it broke. Ends when the job has ended.
 */
export async function* followJob(options: FollowOptions): AsyncGenerator<Update, void> {
  const { jobId, token, signal } = options;
  const progress = newProgress(jobId);
  const follower: Follower = {
    options,
    progress,
    cursor: undefined,
    failures: 0,
    heardMs: Date.now(),
    endedMs: 0,
  };
  if (options.ticket !== undefined) yield await poll(follower);
  for (;;) {
    const ticket = await options.ticket?.().catch(() => undefined);
    const feed = await openFeed({
      url: options.feedUrl,
      cursor: follower.cursor,
      jobId,
      token,
      ticket,
      signal,
    }).catch(() => undefined);
    if (signal.aborted) throw interrupted(signal.reason);
    if (feed !== undefined) {
      if (follower.failures > 0) yield { kind: 'connection', state: 'live', progress };
      try {
        yield* listen(follower, feed);
      } finally {
        await feed[Symbol.asyncDispose]();
      }
      if (over(follower)) return;
    }
    follower.failures += 1;
    if (follower.failures === 1) yield { kind: 'connection', state: 'polling', progress };
    yield await poll(follower);
    if (over(follower)) return;
    await delay(backoffMs(follower.failures), undefined, { signal }).catch((thrown: unknown) => {
      throw interrupted(thrown);
    });
  }
}

interface Follower {
  options: FollowOptions;
  progress: JobProgress;
  cursor: string | undefined;
  /** Tries of the feed since it last said something. */
  failures: number;
  /** When anything was last heard of the job. */
  heardMs: number;
  /** When the job was first seen ended; 0 before. */
  endedMs: number;
}

/** One connection, until it ends or nothing more is to be heard. */
async function* listen(follower: Follower, { events }: FeedConnection): AsyncGenerator<Update> {
  const { progress } = follower;
  // After the feed is open, so that nothing falls between the two.
  yield await poll(follower);
  let pending = events.next();
  while (!over(follower)) {
    const next = await nextOrTick(pending, jobEnded(progress) ? LINGER_MS / 3 : NET_POLL_MS);
    if (next === 'tick') {
      yield await poll(follower);
    } else if (next === 'broken' || next.done === true) {
      return;
    } else if (next.value.type === 'error') {
      if (next.value.error_code === 'stale_cursor') follower.cursor = undefined;
      return;
    } else {
      const event = next.value;
      follower.failures = 0;
      follower.heardMs = Date.now();
      follower.cursor = event.cursor ?? follower.cursor;
      applyEvent(progress, event, Date.now());
      yield { kind: 'event', event, progress };
      pending = events.next();
    }
  }
}

function over(follower: Follower): boolean {
  const { progress, options } = follower;
  if (!jobEnded(progress)) return false;
  follower.endedMs ||= Date.now();
  return options.settled?.(progress) !== false || Date.now() - follower.endedMs >= LINGER_MS;
}

/** Faults of the way there, or of a service that restarts. */
const BRIDGED = new Set<string>(['unreachable', 'timed_out', 'server_failed']);

async function poll(follower: Follower): Promise<Update> {
  const { options, progress } = follower;
  try {
    applySnapshot(progress, await options.read());
    follower.heardMs = Date.now();
  } catch (thrown) {
    if (!(thrown instanceof CliError) || !BRIDGED.has(thrown.code)) throw thrown;
    if (Date.now() - follower.heardMs > GIVE_UP_MS) throw thrown;
  }
  return { kind: 'snapshot', progress };
}

/** The next event, or 'tick' after `ms` without one; `pending` stays good for another call. */
function nextOrTick(
  pending: Promise<IteratorResult<FeedEvent>>,
  ms: number,
): Promise<IteratorResult<FeedEvent> | 'tick' | 'broken'> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve('tick'), ms);
    const settle = (result: IteratorResult<FeedEvent> | 'broken'): void => {
      clearTimeout(timer);
      resolve(result);
    };
    pending.then(settle, () => settle('broken'));
  });
}

function interrupted(cause: unknown): CliError {
  return new CliError('interrupted', 'interrupted', { cause });
}
