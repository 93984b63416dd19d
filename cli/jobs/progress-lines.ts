import type { Colours } from '../text/colour.ts';
import { counted } from '../text/counted.ts';
import { duration } from '../text/duration.ts';
import { printable } from '../text/printable.ts';
import { renderTable, type Column } from '../text/table.ts';
import { cutMiddle } from '../text/width.ts';
import type { FeedEvent } from '../http/feed-frames.ts';
import type { ExecutionProgress, JobProgress } from './progress.ts';

const COLUMNS: readonly Column[] = [
  { title: '#', align: 'right' },
  { title: 'REGION' },
  { title: 'MODEL', shrinkTo: 6 },
  { title: 'Q', align: 'right' },
  { title: 'STATE' },
  { title: 'PROVIDER', shrinkTo: 6 },
  { title: 'TIME', align: 'right' },
  { title: 'CID', shrinkTo: 9, ends: true },
  { title: 'LOG', align: 'right' },
  { title: 'REMARK', shrinkTo: 6 },
];

/** Cells of a content address in the live table; both ends are shown. */
const CID_CELLS = 19;

const shown = (value: string | undefined): string => (value === undefined ? '' : printable(value));

/** The table of a job on its way, no wider than `width`, and a line that sums it up. */
export function progressLines(
  progress: JobProgress,
  nowMs: number,
  width: number,
  colours: Colours,
): string[] {
  const executions = [...progress.executions.values()].sort((a, b) => a.index - b.index);
  const rows = executions.map((execution) => [
    String(execution.index + 1),
    shown(execution.region),
    shown(execution.model),
    execution.question === undefined ? '' : String(execution.question + 1),
    execution.state,
    shown(execution.provider),
    timeOf(execution, nowMs),
    cutMiddle(shown(execution.cid), CID_CELLS),
    execution.logIndex === undefined ? '' : String(execution.logIndex),
    shown(execution.remark),
  ]);
  const used = COLUMNS.map((_, at) => at < 2 || rows.some((row) => row[at] !== ''));
  const table = renderTable(
    COLUMNS.filter((_, at) => used[at]),
    rows.map((row) => row.filter((_, at) => used[at])),
    width,
  );
  const [head = '', ...body] = table;
  return [
    colours.dim(head),
    ...body.map((line, at) => paintState(line, executions[at]?.state ?? '', colours)),
    summaryLine(progress, colours),
  ];
}

function timeOf(execution: ExecutionProgress, nowMs: number): string {
  if (execution.durationMs !== undefined) return duration(execution.durationMs);
  if (execution.state !== 'running' || execution.startedSeenMs === undefined) return '';
  return `${((nowMs - execution.startedSeenMs) / 1_000).toFixed(0)} s`;
}

function paintState(line: string, state: string, colours: Colours): string {
  if (state === 'completed') return colours.green(line);
  if (state === 'failed' || state === 'expired') return colours.red(line);
  return state === 'pending' ? colours.dim(line) : line;
}

function summaryLine(progress: JobProgress, colours: Colours): string {
  const counts = new Map<string, number>();
  for (const { state } of progress.executions.values()) counts.set(state, (counts.get(state) ?? 0) + 1);
  const logged = [...progress.executions.values()].filter(({ logIndex }) => logIndex !== undefined).length;
  const parts = [...counts].map(([state, count]) => `${count} ${state}`);
  if (logged > 0) parts.push(`${logged} in the log`);
  return `${colours.bold(`job ${printable(progress.id)} ${progress.state}`)}: ${parts.join(', ')}`;
}

/** One line for one event, for output that is no terminal. Undefined for events that say nothing new to people. */
export function eventLine(event: FeedEvent, progress: JobProgress): string | undefined {
  const of = (key: string): string => {
    const value = event[key];
    return typeof value === 'string' ? printable(value) : typeof value === 'number' ? String(value) : '';
  };
  const at = progress.executions.get(event.execution_id ?? '');
  const name =
    at === undefined ? '' : [`#${at.index + 1}`, shown(at.region), shown(at.model)].filter(Boolean).join(' ');
  switch (event.type) {
    case 'job.accepted':
      return `job ${of('job_id')} accepted, ${counted(Number(event.executions), 'execution')}`;
    case 'execution.placed':
      return `${name} placed on ${of('provider') || of('backend')}`;
    case 'execution.started':
      return `${name} started`;
    case 'execution.attempt_failed':
      return `${name} attempt ${of('attempt')} failed: ${of('code')}`;
    case 'execution.fallback':
      return `${name} goes from ${of('from_region')} to ${of('to_region')}`;
    case 'transparency.entry_appended':
      return event.execution_id == null
        ? `log entry ${of('log_index')}: the summary of the job`
        : `${name} is log entry ${of('log_index')}`;
    default:
      break;
  }
  if (event.type.startsWith('execution.')) {
    const why = of('failure_code');
    const took = typeof event.duration_ms === 'number' ? ` in ${duration(event.duration_ms)}` : '';
    return `${name} ${printable(event.type.slice('execution.'.length))}${took}${why && `: ${why}`} ${of('ipfs_cid')}`.trimEnd();
  }
  return event.type.startsWith('job.') ? `job ${printable(event.type.slice('job.'.length))}` : undefined;
}
