import { contradictions, doubts } from '../../config/doubts.ts';
import { describeSettings, readSettings } from '../../config/settings.ts';
import type { Context } from '../context.ts';
import { CliError } from '../failure.ts';
import { resolveApi } from '../http/address.ts';
import { signingKeyPath } from '../keys/key-path.ts';
import { printable } from '../text/printable.ts';
import { renderTable } from '../text/table.ts';

/** `beacon config`: the settings of the roles as the environment makes them now, and what the command itself uses. */
export async function config(context: Context): Promise<undefined> {
  const rows = describeSettings(context.io.env);
  const client = {
    ...(await apiInUse(context)),
    state: context.stateDir,
    key: signingKeyPath(context.io, undefined),
  };
  const { env } = context.io;
  const notes = [
    ...((env.REDIS_URL ?? '') === '' ? [] : ['REDIS_URL is set and not used: Temporal is the queue']),
    ...doubts(env),
    ...contradictions(readSettings(env)),
  ];
  if (context.json) {
    context.document({ client, settings: rows, notes });
    return;
  }
  const width = context.io.stdout.isTty ? context.io.stdout.columns() : Infinity;
  const columns = [
    { title: 'SETTING' },
    { title: 'VALUE', shrinkTo: 12 },
    { title: 'FROM' },
    { title: 'MEANING', shrinkTo: 12 },
  ];
  const cells = rows.map(({ name, value, source, doc }) => [name, printable(value), source, doc]);
  const [head = '', ...lines] = renderTable(columns, cells, width);
  context.line(`api    ${printable(client.api ?? 'none')} (${printable(client.api_source)})`);
  context.line(`state  ${printable(client.state)}`);
  context.line(`key    ${printable(client.key)}`);
  context.line();
  context.line(context.colours.dim(head));
  for (const line of lines) context.line(line);
  for (const said of notes) context.note(printable(said));
}

/** Without an address the settings can be shown all the same. */
async function apiInUse(context: Context): Promise<{ api: string | null; api_source: string }> {
  try {
    const { url, source } = await resolveApi(context);
    return { api: url, api_source: source };
  } catch (thrown) {
    if (!(thrown instanceof CliError) || thrown.code === 'usage') throw thrown;
    return { api: null, api_source: thrown.message };
  }
}
