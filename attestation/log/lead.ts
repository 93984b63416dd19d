/** One term of a sequencer: loads the log, signs what stands without a checkpoint, then appends until the term ends. */
import { equalBytes } from '../../domain/encoding.ts';
import { formatVkey, parseVkey } from '../../domain/log/vkey.ts';
import { pause } from '../../domain/pause.ts';
import { logKeyId } from '../../domain/receipt/key-statement.ts';
import type { BusinessEvents } from '../../observability/events.ts';
import type { Log } from '../../observability/log.ts';
import { readClosedVkeys } from '../../store/log-close.ts';
import { countWaitingForKey } from '../../store/log-pending.ts';
import { fixVkey, requireDurability } from '../../store/log-state.ts';
import type { SignedHead } from '../../store/log-append.ts';
import type { Notifier, Wakeups } from '../../store/notify.ts';
import type { Pool } from '../../store/pool.ts';
import type { LogKeyring } from '../keys/log-keyring.ts';
import { KeyError } from '../keys/error.ts';
import { nodeSha256 } from '../keys/node-verifiers.ts';
import { appendPending, readBatch, type Appended, type ReadBatch } from './append.ts';
import type { Faults } from './faults.ts';
import type { Guard } from './guard.ts';
import { loadLog, type LoadedLog } from './load.ts';
import { keepFresh, type OwnCosigner } from './freshness.ts';
import { requireOpen } from './open.ts';
import { createPendingWalk } from './pending-walk.ts';
import { publishHead } from './publish.ts';
import { checkpointSigners } from './signers.ts';
import { together } from './together.ts';
import { traceBatch } from './trace.ts';
import { askWitnesses, type Witnessing } from './witnesses.ts';

/** From one batch to the next, so that at most one checkpoint is signed in this time: under load, batches grow instead. */
const CHECKPOINT_SPACING_MS = 20;
/** After a batch of so many, the next one is read while its checkpoint is signed. A smaller next one is read when it is due. */
const READ_AHEAD_ENTRIES = 32;
/** The net below lost notifications. */
const POLL_MS = 50;
/** How often entries that wait for a key are looked for and told. */
const WAITING_CHECK_MS = 30_000;
/** A log key that is to start, and whether the log was closed, is looked for so often. */
const KEY_CHECK_MS = 1_000;

export interface LeadOptions {
  pool: Pool;
  logId: string;
  logKeys: LogKeyring;
  notifier: Notifier;
  wakeups: Wakeups;
  /** Remembers the last signed head outside the database; without one health says `rollback_guard: none`. */
  guard?: Guard | undefined;
  /** Says every minute that the newest checkpoint is the newest. */
  cosigner?: OwnCosigner | undefined;
  /** Whose cosignatures are asked for. */
  witnessing?: Witnessing | undefined;
  events?:
    Pick<BusinessEvents, 'checkpointSigned' | 'sequencersMet' | 'entryRefused' | 'witnessAsked'> | undefined;
  /** For tests. */
  faults?: Faults | undefined;
  log: Log;
}

export interface LeadProgress {
  /** Everything was found in order; this is the size of the log. */
  leading(size: number): Promise<void>;
  /** A checkpoint of this size is shown. */
  shown(size: number): void;
}

/** Rejects when a batch fails. */
export async function lead(options: LeadOptions, term: AbortSignal, progress: LeadProgress): Promise<void> {
  const { pool, logId, logKeys, guard, faults, log } = options;
  await requireDurability(pool);
  const { origin, vkey } = await requireOpen(pool, logId);
  if (vkey === null) await fixFirstKey(options, origin);
  let loaded: LoadedLog = await loadLog(pool, logId, guard);
  const show = options.witnessing?.mode !== 'wait';
  let signed: SignedHead | undefined;
  let appendedIn: string | undefined;
  const publish = async () => {
    const signers = checkpointSigners(loaded.keys, loaded.frontier.size, logKeys);
    signed = await publishHead(pool, logId, loaded, signers, { guard, faults, show });
  };
  const found = loaded.frontier.size;
  checkpointSigners(loaded.keys, found, logKeys);
  if (found > 0) await publish();
  await progress.leading(found);
  log.info({ log_id: logId, origin, size: found }, 'leading the log');

  const tellWaiting = createWaitingCheck(options);
  const holds = (wanted: string) => logKeys.find(wanted) !== undefined;
  const append = async (signal: AbortSignal): Promise<void> => {
    const walk = createPendingWalk();
    let read: Promise<ReadBatch> | undefined;
    while (!signal.aborted) {
      const began = performance.now();
      const appended = await appendPending(pool, logId, loaded, { holds, faults, read });
      loaded = appended.log;
      walk.took(appended.lastId ?? 0);
      const isMany = appended.entries >= READ_AHEAD_ENTRIES;
      read = isMany ? readBatch(pool, logId, loaded, { holds, after: walk.next() }) : undefined;
      // When the checkpoint fails, nobody asks for it.
      read?.catch(() => undefined);
      tellRefused(options, appended);
      if (appended.entries > 0) {
        await publish();
        if (show) progress.shown(loaded.frontier.size);
        appendedIn = tellAppended(options, appended, performance.now() - began);
      } else {
        await tellWaiting(appended.missingKeys);
        await options.wakeups.next('log', POLL_MS, signal);
      }
      const spacing = appended.entries > 0 ? began + CHECKPOINT_SPACING_MS - performance.now() : 0;
      if (spacing > 0) await pause(spacing, signal);
    }
  };
  const { cosigner, witnessing, notifier, events } = options;
  const works = [append];
  if (cosigner !== undefined)
    works.push((signal) => keepFresh({ pool, logId, logKeys, cosigner, log }, signal));
  if (witnessing !== undefined) {
    const shown = (size: number) => progress.shown(size);
    const trace = () => appendedIn;
    const witnesses = { pool, logId, witnessing, notifier, events, shown, newest: () => signed, trace };
    works.push((signal) => askWitnesses(witnesses, signal));
  }
  await together(term, works);
}

/** The key with which a log begins is its identity from then on. No key signs a second log after its first was closed. */
async function fixFirstKey({ pool, logId, logKeys }: LeadOptions, origin: string): Promise<void> {
  const signer = logKeys.first.signerFor(origin);
  const closed = (await readClosedVkeys(pool)).map((vkey) => parseVkey(vkey, nodeSha256));
  const used = closed.find(({ publicKey }) => equalBytes(publicKey, signer.publicKey));
  if (used !== undefined)
    throw new KeyError(
      'log_key_missing',
      `the key here signed ${used.name}, which was closed: a new log needs a new key`,
    );
  await fixVkey(pool, logId, formatVkey(signer), logKeyId(signer, nodeSha256));
}

function tellAppended(
  { pool, logId, notifier, events, log }: LeadOptions,
  { log: { frontier }, entries, fresh }: Appended,
  durationMs: number,
): string | undefined {
  notifier.notify('events');
  const batch = { logId, size: frontier.size, entries, durationMs };
  events?.checkpointSigned(batch);
  return traceBatch(pool, batch, fresh, log);
}

function tellRefused({ logId, events }: LeadOptions, { refused }: Appended): void {
  for (const { entry, reason } of refused) {
    events?.entryRefused({ logId, subjectKind: entry.subjectKind, subjectId: entry.subjectId, reason });
  }
}

/** Says now and then what stays pending because of a key: one that has not started, or a log key that is not here. */
function createWaitingCheck({ pool, logId, logKeys, log }: LeadOptions) {
  let nextCheck = performance.now();
  let nextKeyCheck = performance.now();
  return async (missingKeys: readonly string[]): Promise<void> => {
    const now = performance.now();
    if (now >= nextKeyCheck) {
      nextKeyCheck = now + KEY_CHECK_MS;
      await requireOpen(pool, logId);
      if (missingKeys.length > 0) await logKeys.reload();
    }
    if (now < nextCheck) return;
    nextCheck = now + WAITING_CHECK_MS;
    for (const vkey of missingKeys) {
      log.warn({ log_id: logId, vkey }, 'a log key is to start that this sequencer does not hold');
    }
    const waiting = await countWaitingForKey(pool, logId);
    if (waiting > 0)
      log.warn({ log_id: logId, entries: waiting }, 'entries wait for a key that has not started');
  };
}
