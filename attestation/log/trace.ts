/**
 * The log in traces. A batch takes entries of many jobs, so its span is a trace of its own with a link to each job's; a span
 * for each entry would be most of what is written. In a job's own trace one span says when its summary, and with it all
 * that came before, stood in the log.
 */
import { typeOf, tracing, type Span } from '../../observability/tracing.ts';
import type { Log } from '../../observability/log.ts';
import type { PendingEntry } from '../../store/log-pending.ts';
import type { Pool } from '../../store/pool.ts';
import { readTraceparents } from '../../store/trace-contexts.ts';

/** As many as the SDK keeps of a span. */
const MOST_LINKS = 128;

export interface TracedBatch {
  logId: string;
  size: number;
  entries: number;
  durationMs: number;
}

type Entries = readonly Pick<PendingEntry, 'subjectKind' | 'subjectId' | 'jobId'>[];

/** Tells a batch that is signed; its span's trace context. The jobs are asked for beside the log's own work. */
export function traceBatch(pool: Pool, batch: TracedBatch, entries: Entries, log: Log): string | undefined {
  const traces = tracing();
  if (traces === undefined) return undefined;
  const span = traces.start('append to log', {
    kind: 'consumer',
    parent: null,
    startMs: Date.now() - batch.durationMs,
    attributes: {
      'beacon.log.id': batch.logId,
      'beacon.log.size': batch.size,
      'beacon.log.entries': batch.entries,
    },
  });
  tellJobs(pool, batch, entries, span).catch((error: unknown) => {
    span.end();
    log.debug({ err: error }, `the jobs of a batch are missing in its trace: ${typeOf(error)}`);
  });
  return span.traceparent;
}

async function tellJobs(pool: Pool, batch: TracedBatch, entries: Entries, span: Span): Promise<void> {
  const endMs = Date.now();
  const jobs = [...new Set(entries.flatMap(({ jobId }) => jobId ?? []))];
  const known = jobs.length === 0 ? new Map<string, string>() : await readTraceparents(pool, jobs);
  for (const [job, traceparent] of [...known].slice(0, MOST_LINKS))
    span.link(traceparent, { 'beacon.job.id': job });
  for (const { subjectKind, subjectId } of entries) {
    const parent = subjectKind === 'job' ? known.get(subjectId) : undefined;
    if (parent === undefined) continue;
    const of = { 'beacon.job.id': subjectId, 'beacon.log.id': batch.logId, 'beacon.log.size': batch.size };
    const startMs = endMs - batch.durationMs;
    tracing()
      ?.start('job in log', { parent, startMs, links: [span.traceparent], attributes: of })
      .end(endMs);
  }
  span.end(endMs);
}
