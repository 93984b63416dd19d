import path from 'node:path';
import { removePidFile, writePidFile } from './pid-file.ts';
import { type EmbeddedPostgres, startPostgres } from './postgres/server.ts';
import type { Progress } from './progress.ts';
import { type RoleCommand, type RunningRole, startRole } from './role.ts';
import type { StateFolder } from './state-folder.ts';
import { supervise, type Supervised } from './supervise.ts';
import { findTemporalBinary, type TemporalBinary } from './temporal/binary.ts';
import { type EmbeddedTemporal, startTemporal } from './temporal/server.ts';

/** What every part of a stack is started with. */
export interface PartContext {
  folder: StateFolder;
  env: NodeJS.ProcessEnv;
  progress: Progress;
  signal: AbortSignal;
  /** A part came, went or came back. */
  onChange(): void;
  /** PostgreSQL or Temporal came back under another address: the roles must learn it. */
  onMoved(): void;
}

/** Roles in the order in which they are drained; `golem` only where there is a key of a yagna daemon. */
export const ROLES = ['api', 'relay', 'worker', 'golem'] as const;
export type RoleName = (typeof ROLES)[number];

export const logOf = (folder: StateFolder, name: string): string => path.join(folder.logs, `${name}.log`);

const given = (value: string | undefined): string | null =>
  value === undefined || value === '' ? null : value;

const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`;

export interface DatabasePart {
  url(): string;
  /** Null: DATABASE_URL names a server that is not ours. */
  part: Supervised<EmbeddedPostgres> | null;
}

/** DATABASE_URL when it is set, else our own PostgreSQL. */
export async function databasePart(context: PartContext): Promise<DatabasePart> {
  const { folder, env, progress, onMoved } = context;
  const external = given(env.DATABASE_URL);
  if (external !== null) {
    progress.say('PostgreSQL: DATABASE_URL');
    return { url: () => external, part: null };
  }
  let url: string | undefined;
  const began = performance.now();
  const part = await supervise({
    ...context,
    name: 'postgres',
    async start(signal) {
      const server = await startPostgres({
        secretsFolder: folder.path,
        folder: folder.reachable,
        account: folder.account,
        logFile: logOf(folder, 'postgres'),
        progress,
        signal,
      });
      const moved = url !== undefined && url !== server.databaseUrl;
      url = server.databaseUrl;
      if (moved) onMoved();
      return server;
    },
  });
  progress.say(`PostgreSQL: ready on 127.0.0.1:${part.current()?.port ?? ''} after ${seconds(began)}`);
  return { url: () => url ?? '', part };
}

export interface TemporalPart {
  address(): string;
  uiUrl(): string | null;
  /** Null: TEMPORAL_ADDRESS names a service that is not ours. */
  own: { part: Supervised<EmbeddedTemporal>; binary: TemporalBinary } | null;
}

/** TEMPORAL_ADDRESS when it is set, else our own dev server. */
export async function temporalPart(context: PartContext): Promise<TemporalPart> {
  const { folder, env, progress, onMoved } = context;
  const external = given(env.TEMPORAL_ADDRESS);
  if (external !== null) {
    progress.say(`Temporal: TEMPORAL_ADDRESS ${external}`);
    return { address: () => external, uiUrl: () => null, own: null };
  }
  const binary = await findTemporalBinary({
    stateFolder: folder.path,
    env,
    progress,
    signal: context.signal,
  });
  let address: string | undefined;
  const began = performance.now();
  const part = await supervise({
    ...context,
    name: 'temporal',
    async start(signal) {
      const server = await startTemporal({
        binary: binary.path,
        folder: path.join(folder.path, 'temporal'),
        logFile: logOf(folder, 'temporal'),
        onSpawn: (identity) => writePidFile(folder.run, 'temporal', identity),
        progress,
        signal,
      });
      void server.ended.then(() => removePidFile(folder.run, 'temporal'));
      const moved = address !== undefined && address !== server.address;
      address = server.address;
      if (moved) onMoved();
      return server;
    },
  });
  const uiUrl = () => part.current()?.uiUrl ?? null;
  progress.say(`Temporal: ready on ${address ?? ''}, Web UI ${uiUrl() ?? 'off'}, after ${seconds(began)}`);
  return { address: () => address ?? '', uiUrl, own: { part, binary } };
}

/** One role, started anew with the environment of that moment. */
export async function rolePart(
  context: PartContext,
  name: RoleName,
  command: RoleCommand,
  roleEnv: () => NodeJS.ProcessEnv,
): Promise<Supervised<RunningRole>> {
  const { folder } = context;
  let listening: string | undefined;
  return supervise({
    ...context,
    name,
    async start(signal) {
      const role = await startRole({
        name,
        command,
        env: { ...roleEnv(), ...(listening === undefined ? {} : sameAddress(listening)) },
        cwd: process.cwd(),
        logs: folder.logs,
        run: folder.run,
        signal,
      });
      listening = role.info.url;
      return role;
    },
  });
}

/** The API comes back where its clients know it, when that is still free. */
function sameAddress(url: string): NodeJS.ProcessEnv {
  const { hostname, port } = new URL(url);
  const everywhere = process.env.HTTP_PORT?.replace(/:?\d+$/, '') ?? '';
  const host = everywhere === '' ? '' : hostname;
  return { HTTP_PORT: `${host}:${port}`, PORT_STRATEGY: 'fallback' };
}
