import path from 'node:path';
import type { ProcessIdentity } from './process-identity.ts';
import { type Progress, silentProgress } from './progress.ts';
import type { RunningRole } from './role.ts';
import { type DatabasePart, logOf, type RoleName, ROLES, type TemporalPart } from './stack-parts.ts';
import type { StackState } from './stack-state.ts';
import type { StateFolder } from './state-folder.ts';
import type { Running, Supervised } from './supervise.ts';

type Part = Supervised<Running>;
/** What of a stack has been started. */
export interface Parts {
  database?: DatabasePart;
  temporal?: TemporalPart;
  roles: Partial<Record<RoleName, Supervised<RunningRole>>>;
}

/** In the order of their draining: nobody's dependency goes before him. */
const inOrder = ({ roles, temporal, database }: Parts): Part[] =>
  [...ROLES.map((name) => roles[name]), temporal?.own?.part, database?.part].filter(
    (part): part is NonNullable<typeof part> => part !== undefined && part !== null,
  );

export async function stopParts(
  parts: Parts,
  { progress = silentProgress, force }: { progress?: Progress; force?: AbortSignal } = {},
): Promise<void> {
  for (const part of inOrder(parts)) {
    progress.update(`Stopping ${part.name}`);
    await part.stop(force);
  }
}

/** What `stack.json` says. */
export function describe(
  parts: Parts,
  folder: StateFolder,
  head: { phase: StackState['phase']; supervisor: ProcessIdentity; startedAt: string },
): StackState {
  const { database, temporal, roles } = parts;
  const apiUrl = roles.api?.current()?.info.url;
  return {
    phase: head.phase,
    supervisor: head.supervisor,
    started_at: head.startedAt,
    ...(apiUrl === undefined ? {} : { api: { url: apiUrl } }),
    ...(database && {
      postgres: database.part
        ? {
            embedded: true,
            port: Number(new URL(database.url()).port),
            data: path.join(folder.reachable, 'postgres'),
          }
        : { embedded: false },
    }),
    ...(temporal && {
      temporal: {
        embedded: temporal.own !== null,
        address: temporal.address(),
        ui_url: temporal.uiUrl(),
        ...(temporal.own ? { binary: temporal.own.binary.path } : {}),
      },
    }),
    parts: inOrder(parts).map((part) => ({
      name: part.name,
      process: part.current()?.identity ?? null,
      restarts: part.restarts(),
      log: logOf(folder, part.name),
    })),
  };
}
