import { parseRegion, REGIONS } from '../../domain/jobspec/region.ts';
import type { Context } from '../context.ts';
import { CliError } from '../failure.ts';
import { connect } from '../http/api.ts';
import { printable } from '../text/printable.ts';
import { providersAnswer } from './answers.ts';
import { amount, showTable } from './text.ts';

/** `beacon golem providers`. */
export async function golemProviders(context: Context, name: string | undefined): Promise<undefined> {
  const region = name === undefined ? undefined : parseRegion(name);
  if (name !== undefined && region === undefined)
    throw new CliError('usage', `--region: ${name} is no region; known are ${REGIONS.join(', ')}`);
  const { client } = await connect(context);
  const query = region === undefined ? '' : `?region=${region}`;
  const answer = await client.json(`/api/v1/golem/providers${query}`, providersAnswer);
  if (context.json) {
    context.document(answer);
    return;
  }
  if (answer.providers.length === 0) {
    context.note('nobody was a candidate in the last hour; see `beacon golem status` for what was dropped');
    return;
  }
  const rows = answer.providers.map((one) => [
    printable(one.provider),
    printable(one.name),
    printable(one.region),
    printable(one.rank),
    printable(one.claimed ?? ''),
    amount(one.estimate),
    `${one.approved}/${one.approved + one.refused}`,
    printable(one.last_refusal ?? ''),
  ]);
  showTable(
    context,
    [
      { title: 'PROVIDER', whole: true },
      { title: 'NAME', shrinkTo: 8 },
      { title: 'FOR' },
      { title: 'RANK' },
      { title: 'CLAIMS' },
      { title: 'PRICE', align: 'right' },
      { title: 'APPROVED', align: 'right' },
      { title: 'LAST REFUSAL', shrinkTo: 10 },
    ],
    rows,
  );
}
