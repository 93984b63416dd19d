import type { Context } from '../context.ts';
import { connect } from '../http/api.ts';
import { executionName } from '../http/execution-name.ts';
import { printable } from '../text/printable.ts';
import { isFailedLook, isLook, isTalks, negotiationsAnswer } from './answers.ts';
import { countedBy } from './text.ts';

/** `beacon golem explain`. */
export async function golemExplain(context: Context, name: string): Promise<undefined> {
  const { client } = await connect(context);
  const id = await executionName(client, name);
  const path = `/api/v1/executions/${encodeURIComponent(id)}/negotiations`;
  const answer = await client.json(path, negotiationsAnswer);
  if (context.json) {
    context.document(answer);
    return;
  }
  if (answer.negotiations.length === 0) {
    context.note(
      'no provider was looked for: its backend does not negotiate, has not begun, or has not ended its first look',
    );
    return;
  }
  for (const { attempt, region, outcome, recorded_at, record } of answer.negotiations.toReversed()) {
    const where = region === null ? '' : ` in ${printable(region)}`;
    const what = attempt === null ? 'look at the market' : `attempt ${attempt}`;
    const came = isFailedLook(record) ? 'could not be done' : printable(outcome);
    context.line(`${printable(recorded_at)}  ${what}${where}: ${came}`);
    if (isFailedLook(record)) {
      const { code, message } = record.failure;
      context.line(`  ${printable(code)}: ${printable(message)}; it is tried again`);
    } else if (isLook(record)) {
      const dropped = countedBy(record.dropped);
      context.line(
        `  ${record.seen} offers seen, ${record.candidates.length} candidates${dropped === '' ? '' : `, dropped: ${dropped}`}`,
      );
    } else if (isTalks(record)) {
      context.line(
        record.provider === null
          ? `  nobody approved, ${record.refused} refused`
          : `  ${printable(record.provider)} approved (${printable(record.rank ?? 'unknown')}${record.probe === null ? '' : `, probe ${printable(record.probe)}`}), ${record.refused} refused`,
      );
      for (const { provider, why } of record.refusals)
        context.line(`  ${printable(provider)}: ${printable(why)}`);
    }
  }
}
