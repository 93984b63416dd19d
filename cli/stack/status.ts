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
  const at: { url: string | null } = { url: null };
  const look = async (): Promise<Readiness> => {
    const api = await connect(context);
    at.url = api.address.url;
    return readReadiness(api);
  };
  // While a stack starts, or its API is down, the parts are what somebody wants to see.
  const health = await look().catch((thrown: unknown) => {
    if (thrown instanceof CliError && stack !== null) return thrown;
    throw thrown;
  });
  const parts = stack?.parts ?? [];
  const stackWell = stack === null || (stack.alive && parts.every((part) => part.alive));
  const apiWell = !(health instanceof CliError) && health.ready;
  if (context.json) {
    context.document({
      api: at.url,
      stack,
      ...(health instanceof CliError ? { ready: false, error: health.message, services: [] } : health),
    });
  } else {
    for (const line of stack === null ? [] : stackLines(stack, context)) context.line(line);
    const said = health instanceof CliError ? health.message : (health.status ?? '');
    context.line(at.url === null ? `API: ${noApi(stack)}` : `API ${at.url}: ${said}`);
    if (!(health instanceof CliError)) for (const line of serviceLines(health)) context.line(line);
  }
  if (stackWell && apiWell) return EXIT.ok;
  return health instanceof CliError ? EXIT.unreachable : EXIT.failed;
}

/** The stack's own file names no API, so there is nothing to ask. */
function noApi(stack: KnownStack | null): string {
  return stack?.phase === 'running' ? 'down' : 'not started yet';
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
  const width = Math.max(0, ...services.map(({ name }) => printable(name).length));
  return services.map(({ name, status: state, error }) => {
    const why = error === undefined ? '' : `: ${printable(error)}`;
    return `  ${printable(name).padEnd(width)}  ${printable(state)}${why}`;
  });
}
