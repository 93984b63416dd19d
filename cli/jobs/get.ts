import type { Context } from '../context.ts';
import type { ExecutionAnswer, JobAnswer } from '../http/answers.ts';
import { connect, readJob } from '../http/api.ts';
import { duration } from '../text/duration.ts';
import { printable } from '../text/printable.ts';
import { renderTable, type Column } from '../text/table.ts';

/** `beacon job get`. */
export async function getJob(context: Context, id: string): Promise<undefined> {
  const { client } = await connect(context);
  const job = await readJob(client, id);
  if (context.json) context.document(job);
  else for (const line of jobLines(job, context)) context.line(line);
}

const COLUMNS: readonly Column[] = [
  { title: '#', align: 'right', essential: true },
  { title: 'EXECUTION', whole: true, essential: true },
  { title: 'REGION', shrinkTo: 4 },
  { title: 'MODEL', shrinkTo: 6 },
  { title: 'Q', align: 'right' },
  { title: 'STATUS', essential: true },
  { title: 'PROVIDER', shrinkTo: 6 },
  { title: 'TIME', align: 'right' },
  { title: 'CID', shrinkTo: 9, ends: true },
  { title: 'FAILURE', shrinkTo: 8 },
];

/** A job and a table of its executions. */
export function jobLines(
  { job, status, executions }: JobAnswer & { executions: ExecutionAnswer[] },
  { colours, io }: Pick<Context, 'colours' | 'io'>,
): string[] {
  const rows = executions.map((execution) => [
    execution.index == null ? '' : String(execution.index + 1),
    printable(execution.id),
    printable(execution.region ?? ''),
    printable(execution.model_id ?? ''),
    execution.question_index == null ? '' : String(execution.question_index + 1),
    printable(execution.status),
    printable(execution.provider_id ?? ''),
    execution.duration_ms == null ? '' : duration(execution.duration_ms),
    printable(execution.ipfs_cid ?? ''),
    printable(execution.failure?.code ?? ''),
  ]);
  const [head = '', ...lines] = renderTable(COLUMNS, rows, io.stdout.isTty ? io.stdout.columns() : Infinity);
  const title = `job ${colours.bold(printable(job.id))} ${paintStatus(status, colours)}`;
  return rows.length === 0 ? [title] : [title, colours.dim(head), ...lines];
}

function paintStatus(status: string, colours: Context['colours']): string {
  const text = printable(status);
  if (status === 'completed') return colours.green(text);
  return status === 'failed' || status === 'expired' ? colours.red(text) : text;
}
