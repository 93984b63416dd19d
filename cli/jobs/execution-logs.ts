import { setTimeout as delay } from 'node:timers/promises';
import type { Context } from '../context.ts';
import { CliError } from '../failure.ts';
import { executionLogs } from '../http/answers.ts';
import { connect } from '../http/api.ts';
import { executionName } from '../http/execution-name.ts';
import { printable, printableLine } from '../text/printable.ts';

/** How often new lines are asked for while the execution runs. */
const FOLLOW_MS = 500;
const PAGE = 1_000;

/** `beacon execution logs`: stdout of the program on our standard output, its stderr on our standard error. */
export async function showExecutionLogs(context: Context, name: string, follow: boolean): Promise<undefined> {
  const { client } = await connect(context);
  const id = await executionName(client, name);
  let after = '0.0';
  for (;;) {
    const path = `/api/v1/executions/${encodeURIComponent(id)}/logs?after=${after}&limit=${PAGE}`;
    const page = await client.json(path, executionLogs);
    for (const line of page.lines) show(context, line);
    after = page.next_after;
    if (page.lines.length === PAGE) continue;
    if (!follow || page.ended) return;
    await delay(FOLLOW_MS, undefined, { signal: context.io.signal }).catch((cause: unknown) => {
      throw new CliError('interrupted', 'interrupted', { cause });
    });
  }
}

function show(
  context: Context,
  line: { attempt: number; time_us: number; source: string; line: string },
): void {
  if (context.json) {
    context.record(line);
    return;
  }
  const text = printableLine(line.line);
  if (line.source === 'stdout') context.line(text);
  else context.note(line.source === 'stderr' ? text : `[${printable(line.source)}] ${text}`);
}
