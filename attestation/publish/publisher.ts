/**
 * Brings the directories of ended public jobs to one place outside, in batches.
 *   noted     - the job's end was seen in the feed
 *   stored    - the place has the blocks          (told as `ipfs.stored`)
 *   pinned    - it keeps them                     (`ipfs.pinned`)
 *   announced - it told the network               (`ipfs.announced`; pinning services do not say)
 * A tree that the place refuses is tried again later and later, alone. A place that does not answer ends the batch, and
 * nothing is sent there for a while, longer each time: a backlog is drained after an outage without hammering.
 *   withdrawn - something of the job was erased: nothing of it is published any more
 *   removed   - the place said that it keeps it no longer; asked after whatever was under way there
 */
import { createHash } from 'node:crypto';
import { CID } from 'multiformats/cid';
import { isChosen, rankServices } from '../../domain/blocks/replication.ts';
import type { BusinessEvents } from '../../observability/events.ts';
import { activeSpan, inSpan, tracing, typeOf, type SpanOptions } from '../../observability/tracing.ts';
import {
  keepPublication,
  keepTargetHealth,
  listDue,
  listFailed,
  notePublishable,
  seeTarget,
  type Publication,
  type PublicationUpdate,
} from '../../store/publications.ts';
import type { Pool } from '../../store/pool.ts';
import { readTraceparents } from '../../store/trace-contexts.ts';
import { claimPublication, keepRemoval } from '../../store/withdrawals.ts';
import { wholeCar } from '../blocks/car.ts';
import { jobDirectory, type JobDirectory } from '../blocks/directory.ts';
import { BlocksError } from '../blocks/error.ts';
import { PublishError, type Facts, type PublishTarget } from './target.ts';

export interface PublisherOptions {
  pool: Pool;
  targets: readonly PublishTarget[];
  /** How many pinning services are to hold each tree. */
  replication: number;
  events: Pick<BusinessEvents, 'published' | 'publishFailed' | 'directoryMade'>;
  /** Called after commits that wrote events. */
  committed(): void;
}

export interface BatchResult {
  /** Trees that were tried. */
  tried: number;
  /** There is more to do at once. */
  more: boolean;
}

export interface Publisher {
  targets: readonly string[];
  /** One bounded batch at one place. */
  batch(target: string, signal: AbortSignal): Promise<BatchResult>;
}

const BATCH = 20;
/** A service that is asked to pin needs a while. */
const PENDING_MS = 30_000;
const RETRY_MIN_MS = 60_000;
const RETRY_MAX_MS = 6 * 3_600_000;
/** Announcing is tried again as Kubo itself does it: in hours. */
const ANNOUNCE_AGAIN_MS = 3_600_000;
const OUTAGE_MIN_MS = 5_000;
const OUTAGE_MAX_MS = 5 * 60_000;
const SPARE_AGAIN_MS = 10 * 60_000;
const UNPINNED = 'unpinned, because it was erased; copies elsewhere may persist';
/** So often may a service fail before the next one takes the tree. */
const GIVEN_UP_AFTER = 3;

const sha256Hex = (text: string): string => createHash('sha256').update(text).digest('hex');
const backoff = (min: number, max: number, failures: number): number =>
  Math.min(max, min * 2 ** Math.min(failures, 30));

export function createPublisher(options: PublisherOptions): Publisher {
  const { pool, targets, events, committed } = options;
  const services = targets.filter(({ kind }) => kind === 'pinning').map(({ name }) => name);

  async function isWanted(target: PublishTarget, jobId: string, cid: string): Promise<boolean> {
    if (target.kind !== 'pinning') return true;
    const ranked = rankServices(cid, services, sha256Hex);
    const failed = await listFailed(pool, jobId, services, GIVEN_UP_AFTER);
    return isChosen(ranked, target.name, options.replication, new Set(failed));
  }

  async function publishOne(target: PublishTarget, due: Publication, signal: AbortSignal): Promise<void> {
    const directory: JobDirectory | undefined =
      due.cid === null ? await jobDirectory(pool, due.jobId) : { cid: due.cid };
    if (directory === undefined) throw new PublishError('refused', 'the job has not ended');
    if (directory.bytes !== undefined) events.directoryMade({ jobId: due.jobId, bytes: directory.bytes });
    const { cid } = directory;
    if (!(await claimPublication(pool, target.name, due.jobId, cid))) return;
    const keep = (update: Partial<PublicationUpdate>) =>
      keepPublication(pool, target.name, due, {
        cid,
        stored: due.stored,
        pinned: due.pinned,
        announced: due.announced,
        requestId: due.requestId,
        note: null,
        failures: due.failures,
        spare: false,
        againMs: null,
        ...update,
      });
    if (!due.pinned && !(await isWanted(target, due.jobId, cid)))
      return keep({ spare: true, againMs: SPARE_AGAIN_MS });
    try {
      const facts = await target.publish(
        {
          cid,
          name: `beacon ${due.jobId}`,
          known: {
            stored: due.stored,
            pinned: due.pinned,
            announced: due.announced,
            requestId: due.requestId ?? undefined,
          },
          car: async () => {
            const car = await wholeCar(pool, CID.parse(cid));
            if (car === undefined) throw new BlocksError('block_missing', `${cid} is not here`);
            return car;
          },
        },
        signal,
      );
      await keep(updateOf(due, facts));
      committed();
      activeSpan()?.set({ 'beacon.pinned': facts.pinned });
      if (facts.pinned && !due.pinned) events.published({ target: target.name, jobId: due.jobId, cid });
    } catch (error) {
      if (error instanceof PublishError && error.code === 'unreachable') throw error;
      signal.throwIfAborted();
      activeSpan()?.fail(typeOf(error));
      events.publishFailed({ target: target.name, jobId: due.jobId, error });
      await keep({
        failures: due.failures + 1,
        requestId: null,
        note: error instanceof Error ? error.message : String(error),
        againMs: backoff(RETRY_MIN_MS, RETRY_MAX_MS, due.failures),
      });
    }
  }

  /** Copies that others fetched persist; what the place itself answers is kept. */
  async function removeOne(
    target: PublishTarget,
    due: Publication & { cid: string },
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await target.remove(due.cid, signal);
      await keepRemoval(pool, target.name, due, {
        removed: true,
        note: UNPINNED,
        failures: 0,
        againMs: null,
      });
    } catch (error) {
      signal.throwIfAborted();
      const note = `asked to unpin what was erased: ${error instanceof Error ? error.message : String(error)}`;
      const isDown = error instanceof PublishError && error.code === 'unreachable';
      const againMs = isDown ? 0 : backoff(RETRY_MIN_MS, RETRY_MAX_MS, due.failures);
      await keepRemoval(pool, target.name, due, {
        removed: false,
        note,
        failures: due.failures + (isDown ? 0 : 1),
        againMs,
      });
      if (isDown) throw error;
      events.publishFailed({ target: target.name, jobId: due.jobId, error });
    }
  }

  return {
    targets: targets.map(({ name }) => name),
    async batch(name, signal) {
      const target = targets.find((one) => one.name === name);
      if (target === undefined) return { tried: 0, more: false };
      const { failures, waitMs } = await seeTarget(pool, name, target.kind);
      if (waitMs > 0) return { tried: 0, more: false };
      const moreNoted = await notePublishable(pool, name);
      const due = await listDue(pool, name, BATCH);
      const traces = await tracesOf(pool, due);
      let tried = 0;
      for (const one of due) {
        try {
          const { cid } = one;
          await inSpan(one.withdrawn ? 'unpublish' : 'publish', traces(target, one), () =>
            one.withdrawn && cid !== null
              ? removeOne(target, { ...one, cid }, signal)
              : publishOne(target, one, signal),
          );
          tried++;
        } catch (error) {
          if (!(error instanceof PublishError)) throw error;
          events.publishFailed({ target: name, jobId: one.jobId, error });
          const pauseMs = backoff(OUTAGE_MIN_MS, OUTAGE_MAX_MS, failures);
          await keepTargetHealth(pool, name, {
            failures: failures + 1,
            waitMs: pauseMs,
            error: error.message,
          });
          return { tried, more: false };
        }
      }
      if (failures > 0 && tried > 0)
        await keepTargetHealth(pool, name, { failures: 0, waitMs: 0, error: null });
      return { tried, more: moreNoted || due.length === BATCH };
    },
  };
}

/** Each tree belongs to its job's trace; the batch, which is of many, is linked. */
async function tracesOf(
  pool: Pool,
  due: readonly Publication[],
): Promise<(target: PublishTarget, one: Publication) => SpanOptions> {
  const batch = activeSpan()?.traceparent;
  if (tracing() === undefined || due.length === 0) return () => ({});
  const ids = due.map(({ jobId }) => jobId);
  const known = await readTraceparents(pool, ids);
  return ({ name }, { jobId }) => ({
    // Undefined: of a job that was not traced the batch tells.
    parent: known.get(jobId),
    links: batch === undefined ? [] : [batch],
    attributes: { 'beacon.job.id': jobId, 'beacon.target': name },
  });
}

function updateOf(due: Publication, facts: Facts): Partial<PublicationUpdate> {
  const { stored, pinned, announced } = facts;
  const isDone = pinned && announced !== false;
  return {
    stored: due.stored || stored,
    pinned: due.pinned || pinned,
    announced: due.announced || announced === true,
    requestId: facts.requestId ?? null,
    note: facts.note ?? null,
    failures: pinned ? 0 : due.failures,
    againMs: isDone ? null : pinned ? ANNOUNCE_AGAIN_MS : PENDING_MS,
  };
}
