import type { Queryable } from './pool.ts';
import type { WorkRow } from './work.ts';

export interface LogRow {
  seq: number;
  timeUs: number;
  source: string;
  line: string;
}

/** Keeps lines of a program; those of an attempt that was fenced off are dropped. */
export async function appendAttemptLogs(
  db: Queryable,
  work: Pick<WorkRow, 'executionId' | 'attempt' | 'fence'>,
  lines: readonly LogRow[],
): Promise<void> {
  if (lines.length === 0) return;
  await db.query(
    `insert into attempt_logs (execution_id, attempt, seq, time_us, source, line)
     select e.id, $2, l.* from executions e, unnest($3::int[], $4::bigint[], $5::text[], $6::text[]) as l
     where e.id = $1 and e.fence = $7
     on conflict do nothing`,
    [
      work.executionId,
      work.attempt,
      lines.map((line) => line.seq),
      lines.map((line) => line.timeUs),
      lines.map((line) => line.source),
      lines.map((line) => line.line.replaceAll('\0', '\uFFFD')),
      work.fence,
    ],
  );
}
