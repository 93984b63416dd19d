import { z } from 'zod';
import { readStackState, type KnownStack } from '../../embedded/stack-state.ts';
import type { Context } from '../context.ts';
import { CliError, EXIT } from '../failure.ts';
import { connect, type Api } from '../http/api.ts';
import { printable } from '../text/printable.ts';
import { renderTable } from '../text/table.ts';

const readiness = z.looseObject({
  ready: z.boolean(),
  status: z.string().optional(),
  services: z.array(z.looseObject({ name: z.string(), status: z.string(), error: z.string().optional() })),
});
type Readiness = z.infer<typeof readiness>;

/** `beacon status`: 0 when all of it works, 1 when a part does not, 3 when nothing answers. */
export async function status(context: Context): Promise<number> {
  const stack = context.api === undefined ? await readStackState(context.stateDir) : null;
  const api = await connect(context);
  const health = await readReadiness(api).catch((thrown: unknown) => {
    if (thrown instanceof CliError && stack !== null) return thrown;
    throw thrown;
  });
  const parts = stack?.parts ?? [];
  const stackWell = stack === null || (stack.alive && parts.every((part) => part.alive));
  const apiWell = !(health instanceof CliError) && health.ready;
  if (context.json) {
    context.document({
      api: api.address.url,
      stack,
      ...(health instanceof CliError ? { ready: false, error: health.message, services: [] } : health),
    });
  } else {
    for (const line of stack === null ? [] : stackLines(stack, context)) context.line(line);
    context.line(
      `API ${api.address.url}: ${health instanceof CliError ? health.message : (health.status ?? '')}`,
    );
    if (!(health instanceof CliError)) for (const line of serviceLines(health)) context.line(line);
  }
  if (stackWell && apiWell) return EXIT.ok;
  return health instanceof CliError ? EXIT.unreachable : EXIT.failed;
}

async function readReadiness({ client }: Api): Promise<Readiness> {
  return client.json('/health/ready', readiness, { accept: [503] });
}

function stackLines(stack: KnownStack, { colours, stateDir }: Context): string[] {
  const state = stack.alive
    ? stack.phase
    : colours.red('its supervisor is gone; `beacon down` ends what is left');
  const rows = stack.parts.map(({ name, alive, process, restarts, log }) => [
    name,
    alive ? 'up' : 'down',
    process === null ? '' : String(process.pid),
    restarts === 0 ? '' : String(restarts),
    printable(log),
  ]);
  const columns = [
    { title: 'PART' },
    { title: 'STATE' },
    { title: 'PID', align: 'right' as const },
    { title: 'RESTARTS', align: 'right' as const },
    { title: 'LOG' },
  ];
  const [head = '', ...lines] = rows.length === 0 ? [] : renderTable(columns, rows);
  const ui = stack.temporal?.ui_url;
  return [
    `stack ${printable(stateDir)}: ${state}, since ${printable(stack.started_at)}`,
    ...(rows.length === 0 ? [] : [colours.dim(head), ...lines]),
    ...(ui == null ? [] : [`Temporal UI ${printable(ui)}`]),
  ];
}

function serviceLines({ services }: Readiness): string[] {
  return services.map(({ name, status: state, error }) => {
    const why = error === undefined ? '' : `: ${printable(error)}`;
    return `  ${printable(name).padEnd(12)} ${printable(state)}${why}`;
  });
}
