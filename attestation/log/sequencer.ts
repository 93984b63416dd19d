/**
 * The one writer of the log. States of a sequencer:
 *   standby  - another process leads; waits for the lock. Left by getting it.
 *   leading  - the tree's right edge is in memory; every pending entry goes in with the next batch. Left when the leader's
 *              connection is lost or a batch fails: back to standby, and the edge is read from the tables again.
 *   refusing - the database contradicts what was signed before, or the key is not the log's: signs nothing and keeps the
 *              lock, so that nobody else on this database does. Left when its connection is lost: all is checked again.
 * A batch is two commits: entries, tiles, head and events; then, after signature and guard, the checkpoint, from which on it
 * is shown. Whoever leads next signs what stands committed without one.
 */
import { formatVkey } from '../../domain/log/vkey.ts';
import { pause } from '../../domain/pause.ts';
import type { BusinessEvents } from '../../observability/events.ts';
import type { Log } from '../../observability/log.ts';
import { countWaitingForKey } from '../../store/log-keys.ts';
import {
  findLog,
  fixVkey,
  LogStoreError,
  reportSequencer,
  requireDurability,
  type RollbackGuard,
  type SequencerReport,
} from '../../store/log-state.ts';
import { leadLog } from '../../store/log-leader.ts';
import type { Notifier, Wakeups } from '../../store/notify.ts';
import type { Pool } from '../../store/pool.ts';
import type { LogKey } from '../keys/log-key.ts';
import { appendPending } from './append.ts';
import { LogServiceError } from './error.ts';
import type { Guard } from './guard.ts';
import { loadLog, type LoadedLog } from './load.ts';
import type { Faults } from './faults.ts';
import { publishHead } from './publish.ts';

/** At most one checkpoint in this time: under load, batches grow instead of signatures. */
const CHECKPOINT_SPACING_MS = 20;
/** The net below lost notifications. */
const POLL_MS = 50;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 5_000;
/** How often entries that wait for a receipt key are looked for and told. */
const WAITING_CHECK_MS = 30_000;

export interface SequencerOptions {
  pool: Pool;
  databaseUrl: string;
  logId: string;
  logKey: LogKey;
  notifier: Notifier;
  wakeups: Wakeups;
  /** Remembers the last signed head outside the database; without one health says `rollback_guard: none`. */
  guard?: Guard | undefined;
  events?: Pick<BusinessEvents, 'checkpointSigned'> | undefined;
  /** For tests. */
  faults?: Faults | undefined;
  log: Log;
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
  const { databaseUrl, logId, log, guard } = options;
  const stop = new AbortController();
  const stopped = stop.signal;
  const isStopped = () => stopped.aborted;
  const status: SequencerStatus = {
    state: 'standby',
    size: null,
    rollbackGuard: guard === undefined ? 'none' : 'file',
    error: null,
  };

  async function run(): Promise<void> {
    let retryMs = RETRY_MIN_MS;
    while (!isStopped()) {
      try {
        await using leadership = await leadLog(databaseUrl, logId, stopped);
        if (leadership === undefined) break;
        const term = AbortSignal.any([stopped, leadership.lost]);
        const led = () => {
          retryMs = RETRY_MIN_MS;
        };
        await lead(options, status, term, led).catch(async (error: unknown) => {
          if (!isFinal(error)) throw error;
          Object.assign(status, { state: 'refusing', error: error.message });
          log.fatal({ err: error, log_id: logId }, 'the log is not signed any more');
          await report(options, { state: 'refusing', refusal: { code: error.code, message: error.message } });
          await aborted(term);
        });
        if (!isStopped()) log.warn({ log_id: logId }, 'the lead of the log was lost');
      } catch (error) {
        if (isStopped()) break;
        Object.assign(status, { error: error instanceof Error ? error.message : String(error) });
        log.warn({ err: error, log_id: logId }, 'the log could not be extended');
        await pause(retryMs, stopped);
        retryMs = Math.min(2 * retryMs, RETRY_MAX_MS);
      }
      if (status.state === 'leading') status.state = 'standby';
    }
    status.state = 'stopped';
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

/** One term: loads the log, then appends until `term` ends. */
async function lead(
  options: SequencerOptions,
  status: SequencerStatus,
  term: AbortSignal,
  led: () => void,
): Promise<void> {
  const { pool, logId, logKey, notifier, wakeups, guard, events, faults, log } = options;
  await requireDurability(pool);
  const { origin } = (await findLog(pool))!;
  const signer = logKey.signerFor(origin);
  await fixVkey(pool, logId, formatVkey(signer));
  let loaded: LoadedLog = await loadLog(pool, logId, guard);
  const found = loaded.frontier.size;
  const publish = () => publishHead(pool, logId, loaded, [signer], { guard, faults });
  if (found > 0) await publish();
  Object.assign(status, { state: 'leading', size: found, error: null });
  await report(options, { state: 'leading', refusal: null });
  led();
  log.info({ log_id: logId, origin, size: found }, 'leading the log');

  let lastSigned = -Infinity;
  let nextWaitingCheck = performance.now();
  while (!term.aborted) {
    const began = performance.now();
    const appended = await appendPending(pool, logId, loaded, faults);
    loaded = appended.log;
    for (const entry of appended.contradicting) {
      log.error(
        { log_id: logId, subject_kind: entry.subjectKind, subject_id: entry.subjectId },
        'refused: the subject stands in the log with another leaf',
      );
    }
    if (appended.entries > 0) {
      const { size } = loaded.frontier;
      status.size = size;
      await publish();
      notifier.notify('events');
      const durationMs = performance.now() - began;
      events?.checkpointSigned({ logId, size, entries: appended.entries, durationMs });
      lastSigned = performance.now();
    } else {
      if (began >= nextWaitingCheck) {
        nextWaitingCheck = began + WAITING_CHECK_MS;
        await tellWaiting(options, loaded);
      }
      await wakeups.next('log', POLL_MS, term);
    }
    const spacing = lastSigned + CHECKPOINT_SPACING_MS - performance.now();
    if (spacing > 0) await pause(spacing, term);
  }
}

/** For health; that it could not be written must not keep the sequencer from its work. */
async function report(
  { pool, logId, guard, log }: SequencerOptions,
  said: Pick<SequencerReport, 'state' | 'refusal'>,
): Promise<void> {
  const rollbackGuard = guard === undefined ? 'none' : 'file';
  await reportSequencer(pool, logId, { ...said, rollbackGuard }).catch((error: unknown) => {
    log.warn({ err: error, log_id: logId }, 'the state of the sequencer could not be written');
  });
}

async function tellWaiting({ pool, logId, log }: SequencerOptions, loaded: LoadedLog): Promise<void> {
  const waiting = await countWaitingForKey(pool, logId, loaded.startedKeys);
  if (waiting > 0)
    log.warn({ log_id: logId, entries: waiting }, 'entries wait for a receipt key that has not started');
}

/** Errors after which signing on would do harm; everything else may pass. */
function isFinal(error: unknown): error is LogServiceError | LogStoreError {
  if (error instanceof LogServiceError) {
    return error.code === 'rollback_detected' || error.code === 'log_inconsistent';
  }
  return (
    error instanceof LogStoreError &&
    (error.code === 'fsync_off' || error.code === 'vkey_differs' || error.code === 'checkpoint_forked')
  );
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
