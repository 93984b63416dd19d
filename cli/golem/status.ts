import type { Context } from '../context.ts';
import { connect } from '../http/api.ts';
import { counted } from '../text/counted.ts';
import { printable } from '../text/printable.ts';
import { statusAnswer } from './answers.ts';
import { amount, countedBy, showTable } from './text.ts';

/** `beacon golem status`. */
export async function golemStatus(context: Context): Promise<undefined> {
  const { client } = await connect(context);
  const answer = await client.json('/api/v1/golem/status', statusAnswer);
  if (context.json) {
    context.document(answer);
    return;
  }
  const { yagna, wallet, money, market } = answer;
  context.line(
    yagna === null
      ? 'yagna    no worker serves Golem: one does where GOLEM_API_KEY is set (docs/golem.md)'
      : `yagna    circuit breaker ${printable(yagna.state)}${yagna.forced ? ' by an operator' : ''}, ${yagna.Failures} of ${yagna.Requests} calls failed in half a minute, ${counted(yagna.processes, 'worker')}`,
  );
  context.line(
    wallet === null
      ? `wallet   not known: ${yagna === null ? 'only such a worker reads it' : 'the worker finds no yagna command line'}`
      : `wallet   ${amount(wallet.balance)} GLM on ${printable(wallet.platform)}, read ${printable(wallet.readAt)}`,
  );
  for (const one of money)
    context.line(
      `money    ${printable(one.platform)}: ${amount(one.accepted)} accepted, ${amount(one.unpaid)} of it not known to be paid, ${amount(one.held)} held for ${one.unknown} attempts of unknown cost`,
    );
  if (market.length === 0) {
    context.note('nobody looked at the market in the last hour');
    return;
  }
  const rows = market.map((one) => [
    printable(one.region),
    printable(one.looked_at),
    String(one.seen),
    String(one.candidates),
    printable(one.outcome),
    countedBy(one.dropped),
  ]);
  showTable(
    context,
    [
      { title: 'REGION', whole: true },
      { title: 'LOOKED AT', shrinkTo: 16 },
      { title: 'SEEN', align: 'right' },
      { title: 'CANDIDATES', align: 'right' },
      { title: 'OUTCOME' },
      { title: 'DROPPED', shrinkTo: 10 },
    ],
    rows,
  );
}
