/**
 * The one writer of the log. States of a sequencer:
 *   standby  - another process leads; waits for the lock. Left by getting it.
 *   leading  - the tree's right edge is in memory; every pending entry goes in with the next batch. Left when the leader's
 *              connection is lost or a batch fails: back to standby, and the edge is read from the tables again.
 *   refusing - the database contradicts what was signed before: signs nothing and keeps the lock, so that nobody else on
 *              this database does; left when its connection is lost, then all is checked again. Or it does not hold the
 *              log's keys: lets others lead, and looks again after a while.
 * Two that lead at once meet at the head that every batch compares: the one that comes second has had no effect, steps back
 * and says so.
 * A batch is two commits: entries, tiles, head and events; then, after signature and guard, the checkpoint, from which on it
 * is shown. Whoever leads next signs what stands committed without one.
 */
import { pause } from '../../domain/pause.ts';
import { LogStoreError, reportMeeting, reportSequencer, type RollbackGuard } from '../../store/log-state.ts';
import { leadLog } from '../../store/log-leader.ts';
import { KeyError } from '../keys/error.ts';
import { LogServiceError } from './error.ts';
import { lead, type LeadOptions, type LeadProgress } from './lead.ts';
import { requireOpen } from './open.ts';

const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 5_000;

export interface SequencerOptions extends LeadOptions {
  databaseUrl: string;
  /** Called when the log was closed: this sequencer has ended, and another log needs another. */
  closed?: ((error: Error) => void) | undefined;
}

export interface SequencerStatus {
  state: 'standby' | 'leading' | 'refusing' | 'stopped';
  /** Entries under the last checkpoint that this process signed or found; null before it led. */
  size: number | null;
  rollbackGuard: RollbackGuard;
  /** Why it refuses, or what went wrong last while it does not lead. */
  error: string | null;
}

export interface Sequencer extends AsyncDisposable {
  status(): SequencerStatus;
}

export function startSequencer(options: SequencerOptions): Sequencer {
  const { pool, databaseUrl, logId, log, guard, events } = options;
  const stop = new AbortController();
  const stopped = stop.signal;
  const isStopped = () => stopped.aborted;
  const rollbackGuard: RollbackGuard = guard === undefined ? 'none' : 'file';
  const status: SequencerStatus = { state: 'standby', size: null, rollbackGuard, error: null };

  async function run(): Promise<void> {
    let retryMs = RETRY_MIN_MS;
    while (!isStopped()) {
      try {
        await using leadership = await leadLog(databaseUrl, logId, stopped);
        if (leadership === undefined) break;
        const term = AbortSignal.any([stopped, leadership.lost]);
        const progress: LeadProgress = {
          async leading(size) {
            Object.assign(status, { state: 'leading', size, error: null });
            retryMs = RETRY_MIN_MS;
            await say('leading', null);
          },
          shown(size) {
            status.size = size;
          },
        };
        await lead(options, term, progress).catch((error: unknown) => refuse(error, term));
        if (!isStopped()) log.warn({ log_id: logId }, 'the lead of the log was lost');
      } catch (error) {
        if (isStopped()) break;
        if (error instanceof LogServiceError && error.code === 'log_closed') {
          status.error = error.message;
          log.warn({ log_id: logId }, 'the log was closed');
          options.closed?.(error);
          break;
        }
        await stepBack(error);
        await pause(isOwnFault(error) ? RETRY_MAX_MS : retryMs, stopped);
        retryMs = Math.min(2 * retryMs, RETRY_MAX_MS);
      }
      if (status.state === 'leading') status.state = 'standby';
    }
    status.state = 'stopped';
  }

  /** Waits out the term where signing on would do harm; throws everything else. */
  async function refuse(error: unknown, term: AbortSignal): Promise<void> {
    if (!isFinal(error) && !isOwnFault(error)) throw error;
    Object.assign(status, { state: 'refusing', error: error.message });
    log.fatal({ err: error, log_id: logId }, 'the log is not signed any more');
    await say('refusing', { code: error.code, message: error.message });
    if (isOwnFault(error)) throw error;
    // The one way on besides another database: its operator closes the log.
    while (!term.aborted) {
      await requireOpen(pool, logId);
      await pause(RETRY_MAX_MS, term);
    }
  }

  async function stepBack(error: unknown): Promise<void> {
    status.error = error instanceof Error ? error.message : String(error);
    if (error instanceof LogStoreError && error.code === 'head_moved') {
      events?.sequencersMet({ logId });
      await quietly(reportMeeting(pool, logId));
    } else {
      log.warn({ err: error, log_id: logId }, 'the log could not be extended');
    }
  }

  /** For health; that it could not be written must not keep the sequencer from its work. */
  function say(
    state: 'leading' | 'refusing',
    refusal: { code: string; message: string } | null,
  ): Promise<void> {
    return quietly(reportSequencer(pool, logId, { state, refusal, rollbackGuard }));
  }

  async function quietly(written: Promise<void>): Promise<void> {
    await written.catch((error: unknown) => {
      log.warn({ err: error, log_id: logId }, 'the state of the sequencer could not be written');
    });
  }

  const running = run();
  return {
    status: () => ({ ...status }),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

/** Errors after which signing on would do harm; everything else may pass. */
function isFinal(error: unknown): error is LogServiceError | LogStoreError {
  if (error instanceof LogServiceError) {
    return error.code === 'rollback_detected' || error.code === 'log_inconsistent';
  }
  return error instanceof LogStoreError && (error.code === 'fsync_off' || error.code === 'checkpoint_forked');
}

/** Another process may hold what this one lacks. */
function isOwnFault(error: unknown): error is KeyError {
  return error instanceof KeyError && error.code === 'log_key_missing';
}
