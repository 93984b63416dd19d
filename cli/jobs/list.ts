import type { JobListOptions } from '../commands/jobs.ts';
import type { Context } from '../context.ts';
import { jobListAnswer } from '../http/answers.ts';
import { connect } from '../http/api.ts';
import { printable } from '../text/printable.ts';
import { renderTable } from '../text/table.ts';

/** `beacon job list`. */
export async function listJobs(context: Context, options: JobListOptions): Promise<undefined> {
  const { client } = await connect(context);
  const query = new URLSearchParams({ limit: String(options.limit) });
  if (options.status !== undefined) query.set('status', options.status);
  if (options.cursor !== undefined) query.set('cursor', options.cursor);
  const answer = await client.json(`/api/v1/jobs?${query.toString()}`, jobListAnswer, {
    asOwner: true,
  });
  if (context.json) {
    context.document(answer);
    return;
  }
  if (answer.jobs.length === 0) {
    context.note('no jobs; submit one with `beacon submit FILE`');
    return;
  }
  const rows = answer.jobs.map((job) => [
    printable(job.id),
    printable(job.status),
    job.counts == null ? '' : `${job.counts.completed}/${job.counts.total}`,
    printable(job.created_at ?? ''),
    printable(job.name ?? ''),
  ]);
  const columns = [
    { title: 'JOB', whole: true, essential: true },
    { title: 'STATUS', essential: true },
    { title: 'DONE', align: 'right' as const },
    { title: 'CREATED', shrinkTo: 16 },
    { title: 'NAME', shrinkTo: 8 },
  ];
  const width = context.io.stdout.isTty ? context.io.stdout.columns() : Infinity;
  const [head = '', ...lines] = renderTable(columns, rows, width);
  context.line(context.colours.dim(head));
  for (const line of lines) context.line(line);
  if (answer.next_cursor != null) {
    context.note(`more: beacon job list --limit ${options.limit} --cursor ${printable(answer.next_cursor)}`);
  }
}
