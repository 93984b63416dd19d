import type { Context } from '../context.ts';
import { CliError } from '../failure.ts';
import { connect } from '../http/api.ts';
import { bearer } from '../http/client.ts';
import { printable } from '../text/printable.ts';
import { breakersAnswer, orderedAnswer } from './answers.ts';
import { showTable } from './text.ts';

const ADMIN = '/api/v1/admin/circuit-breakers';

/** `beacon breakers list`. */
export async function listBreakers(context: Context): Promise<undefined> {
  const { client } = await connect(context);
  const answer = await client.json(ADMIN, breakersAnswer);
  if (context.json) {
    context.document(answer);
    return;
  }
  if (answer.circuit_breakers.length === 0) {
    context.note('no process has a circuit breaker');
    return;
  }
  const rows = answer.circuit_breakers.map((one) => [
    printable(one.Name),
    `${printable(one.state)}${one.forced ? ' (by an operator)' : ''}`,
    String(one.Requests),
    String(one.Failures),
    String(one.rejected),
    printable(one.LastFailTime ?? ''),
    String(one.processes),
  ]);
  showTable(
    context,
    [
      { title: 'NAME', whole: true, essential: true },
      { title: 'STATE', essential: true },
      { title: 'CALLS', align: 'right' },
      { title: 'FAILED', align: 'right' },
      { title: 'REFUSED', align: 'right' },
      { title: 'LAST FAILURE', shrinkTo: 16 },
      { title: 'PROCESSES', align: 'right' },
    ],
    rows,
  );
}

/** `beacon breakers open`, `beacon breakers reset`. */
export async function orderBreakers(
  context: Context,
  action: 'open' | 'reset',
  name: string | undefined,
): Promise<undefined> {
  const { client, token } = await connect(context);
  if (token === undefined)
    throw new CliError('usage', 'this needs an operator token: set BEACON_OPERATOR_TOKEN');
  const body = Buffer.from(JSON.stringify(name === undefined ? {} : { name }));
  const answer = await client.json(`${ADMIN}/${action}`, orderedAnswer, {
    method: 'POST',
    headers: { ...bearer(token), 'content-type': 'application/json' },
    body,
  });
  if (context.json) context.document(answer);
  else if (answer.names.length === 0) context.note('no process has a circuit breaker');
  else context.line(`${action === 'open' ? 'opened' : 'reset'}: ${answer.names.map(printable).join(', ')}`);
}
