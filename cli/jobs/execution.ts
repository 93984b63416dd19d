import type { z } from 'zod';
import type { Context } from '../context.ts';
import { executionDetails } from '../http/answers.ts';
import { connect } from '../http/api.ts';
import { executionName } from '../http/execution-name.ts';
import { duration } from '../text/duration.ts';
import { printable } from '../text/printable.ts';

/** `beacon execution get`. */
export async function getExecution(context: Context, name: string): Promise<undefined> {
  const { client } = await connect(context);
  const id = await executionName(client, name);
  const path = `/api/v1/executions/${encodeURIComponent(id)}/details`;
  const execution = await client.json(path, executionDetails);
  if (context.json) context.document(execution);
  else for (const line of executionLines(execution)) context.line(line);
}

/** A receipt has its address for ever; only erasing takes away what stands there. */
function receiptText({ id, ipfs_cid: cid, receipt }: z.infer<typeof executionDetails>): string | undefined {
  if (cid == null) return undefined;
  return receipt == null ? `${cid}, erased: beacon verify ${id} shows the proof` : cid;
}

/** Why it has no place yet. */
function waitsText({ waits_for: waits }: z.infer<typeof executionDetails>): string | undefined {
  if (waits == null) return undefined;
  return `${waits.message ?? waits.code} (${waits.code}${waits.seen_at == null ? '' : `, ${waits.seen_at}`})`;
}

function executionLines(execution: z.infer<typeof executionDetails>): string[] {
  const { receipt, failure, attempts = [], files = [] } = execution;
  const facts: [string, string | null | undefined][] = [
    ['execution', execution.id],
    ['job', execution.job_id],
    ['status', execution.status],
    ['waits', waitsText(execution)],
    ['failure', failure ? `${failure.code}: ${failure.message ?? ''}` : undefined],
    ['region', execution.region],
    ['model', execution.model_id],
    ['question', execution.question],
    ['provider', execution.provider_id],
    ['isolation', receipt?.isolation],
    ['image', receipt?.image_executed ?? receipt?.image_requested],
    ['started', execution.started_at],
    ['ended', execution.completed_at],
    ['took', execution.duration_ms == null ? undefined : duration(execution.duration_ms)],
    ['receipt', receiptText(execution)],
    ['output', execution.output],
  ];
  const lines = facts.flatMap(([name, value]) =>
    value == null || value === '' ? [] : [`${name.padEnd(10)} ${printable(value)}`],
  );
  for (const attempt of attempts) {
    const why = attempt.failure ? `: ${printable(attempt.failure.code)}` : '';
    const took = attempt.duration_ms == null ? '' : ` after ${duration(attempt.duration_ms)}`;
    const where = [attempt.backend, attempt.region].map((part) => printable(part ?? '')).join(' ');
    lines.push(
      `${'attempt'.padEnd(10)} ${attempt.attempt} on ${where} ${printable(attempt.status)}${took}${why}`,
    );
  }
  for (const file of files) {
    lines.push(
      `${'file'.padEnd(10)} ${printable(file.name)}, ${file.size} bytes ${printable(file.cid ?? '')}`,
    );
  }
  return lines;
}
