import { rm } from 'node:fs/promises';
import path from 'node:path';
import { foreignKeys } from '../config/role-keys.ts';
import { migrate } from '../store/migrate.ts';
import { EmbeddedError, reasonOf } from './failure.ts';
import { takeLock } from './folder-lock.ts';
import { keepLogsSmall } from './log-file.ts';
import { endLeftovers } from './pid-file.ts';
import { secretIn } from './private-file.ts';
import { identify } from './process-identity.ts';
import { type Progress, silentProgress } from './progress.ts';
import type { RoleCommand } from './role.ts';
import {
  databasePart,
  logOf,
  type PartContext,
  rolePart,
  type RoleName,
  ROLES,
  temporalPart,
} from './stack-parts.ts';
import { type StackState, writeStackState } from './stack-state.ts';
import { makeStateFolder, placeState, type StateFolder } from './state-folder.ts';
import { describe, type Parts, stopParts } from './started-parts.ts';

export { readStackState, stopStack } from './stack-state.ts';
export type { KnownStack, StackState, StopResult } from './stack-state.ts';
export type { RoleName } from './stack-parts.ts';

/*
 * The whole of Beacon on one machine: one supervisor, its children PostgreSQL, Temporal and the roles, each in a
 * session of its own with its own log file. States: starting → running → stopping → gone. Durable are the folder's
 * keys, passwords, ports, databases and pid files; `stack.json` and the lock go with a clean end. A killed supervisor
 * leaves PostgreSQL and Temporal running and roles that end by themselves: the next start, or `beacon down`, finds and
 * ends what is left.
 */

export interface StackOptions {
  /** `.beacon`. */
  stateFolder: string;
  /** Settings of the roles. DATABASE_URL and TEMPORAL_ADDRESS replace the embedded parts. Default: our own. */
  env?: NodeJS.ProcessEnv;
  progress?: Progress;
  /** Gives up a start under way. */
  signal?: AbortSignal;
  /** Default: this package's own command line. */
  roleCommand?: (role: RoleName) => RoleCommand;
  /** Root's place for what other accounts must reach; default `/var/lib/beacon`. */
  sharedRoot?: string;
}

export interface Stack extends AsyncDisposable {
  state(): StackState;
  folder: StateFolder;
  apiUrl(): string;
  databaseUrl(): string;
  temporalAddress(): string;
  temporalUiUrl(): string | null;
  operatorToken: string;
  /** Drains and stops everything; what is still there when `force` aborts is killed. */
  stop(force?: AbortSignal): Promise<void>;
}

/** Addresses for one role run by itself; the roles of a stack would all claim them. */
const ONE_PROCESS = ['ROLE_PORT', 'TEMPORAL_METRICS_ADDRESS'] as const;

/** Starts everything and resolves when all of it is ready; the caller disposes it. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const names = await makeStateFolder(path.resolve(options.stateFolder));
  const lock = await takeLock(names.lockFile, 'beacon up');
  const parts: Parts = { roles: {} };
  let release = async (): Promise<void> => lock[Symbol.asyncDispose]();
  try {
    const { progress = silentProgress } = options;
    const { setAside, ...folder } = await placeState(names, {
      ...options,
      databaseElsewhere: Boolean((options.env ?? process.env).DATABASE_URL),
    });
    if (setAside !== null)
      progress.say(`the state folder is new; the database that belonged to its keys is kept in ${setAside}`);
    const left = await endLeftovers(folder.run);
    if (left.length > 0) progress.say(`ended what an earlier run left behind: ${left.join(', ')}`);
    const logs = keepLogsSmall(() => [...ROLES, 'postgres', 'temporal'].map((name) => logOf(folder, name)));
    release = async () => {
      logs[Symbol.dispose]();
      await rm(folder.stateFile, { force: true });
      await lock[Symbol.asyncDispose]();
    };
    return await startParts(options, folder, parts, release);
  } catch (error) {
    await stopParts(parts);
    await release();
    options.signal?.throwIfAborted();
    throw error;
  }
}

async function startParts(
  options: StackOptions,
  folder: StateFolder,
  parts: Parts,
  release: () => Promise<void>,
): Promise<Stack> {
  const { env = process.env, progress = silentProgress, roleCommand = ownCommand } = options;
  const supervisor = identify(process.pid);
  if (supervisor === null) throw new TypeError('this process has an identity');
  const startedAt = new Date().toISOString();
  const operatorToken = env.ADMIN_TOKEN || (await secretIn(folder.tokenFile));
  let phase: StackState['phase'] = 'starting';
  const state = () => describe(parts, folder, { phase, supervisor, startedAt });

  let saved = Promise.resolve();
  const save = () => {
    saved = saved
      .then(() => writeStackState(folder.stateFile, state()))
      .catch((error: unknown) => progress.say(`cannot write ${folder.stateFile}: ${reasonOf(error)}`));
    return saved;
  };
  const failed = new AbortController();
  const context: PartContext = {
    folder,
    env,
    progress,
    signal: options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal,
    onChange: () => void save(),
    onMoved: () => {
      for (const role of Object.values(parts.roles)) void role.renew();
    },
  };
  await save();
  await together(failed, [
    databasePart(context).then(async (database) => {
      parts.database = database;
      await migrated(database.url(), database.part === null);
    }),
    temporalPart(context).then((temporal) => {
      parts.temporal = temporal;
    }),
  ]);
  const roleEnv = (role: RoleName) => ({
    ...env,
    ...Object.fromEntries(foreignKeys(role).map((name) => [name, undefined])),
    ...Object.fromEntries(ONE_PROCESS.map((name) => [name, undefined])),
    BEACON_STATE: folder.path,
    BEACON_REACHABLE: folder.reachable,
    DATABASE_URL: parts.database?.url(),
    TEMPORAL_ADDRESS: parts.temporal?.address(),
    ...(parts.temporal?.own ? { TEMPORAL_NAMESPACE: 'default' } : {}),
    ADMIN_TOKEN: operatorToken,
    LOCAL_PROCESS_DIGESTS: env.LOCAL_PROCESS_DIGESTS ?? 'shipped',
  });
  const unused = ONE_PROCESS.filter((name) => env[name]);
  if (unused.length > 0)
    progress.say(
      `${unused.join(' and ')} left out: the roles of a stack cannot share one address (for a role run by itself)`,
    );
  progress.update('Starting relay, worker and API');
  await together(
    failed,
    ROLES.filter((name) => name !== 'golem' || Boolean(env.GOLEM_API_KEY)).map(async (name) => {
      parts.roles[name] = await rolePart(context, name, roleCommand(name), () => roleEnv(name));
    }),
  );
  phase = 'running';
  await save();

  let stopped: Promise<void> | undefined;
  const stop = (force?: AbortSignal) =>
    (stopped ??= (async () => {
      phase = 'stopping';
      await save();
      await stopParts(parts, { progress, ...(force ? { force } : {}) });
      await saved;
      await release();
    })());
  return {
    state,
    folder,
    apiUrl: () => parts.roles.api?.current()?.info.url ?? '',
    databaseUrl: () => parts.database?.url() ?? '',
    temporalAddress: () => parts.temporal?.address() ?? '',
    temporalUiUrl: () => parts.temporal?.uiUrl() ?? null,
    operatorToken,
    stop,
    [Symbol.asyncDispose]: () => stop(),
  };
}

/** Waits for all; the first failure aborts the others, and is the one that is thrown once all have ended. */
async function together(failed: AbortController, work: readonly Promise<void>[]): Promise<void> {
  const first: { reason: unknown }[] = [];
  await Promise.all(
    work.map((each) =>
      each.catch((reason: unknown) => {
        first.push({ reason });
        failed.abort(reason);
      }),
    ),
  );
  if (first[0]) throw first[0].reason;
}

async function migrated(url: string, external: boolean): Promise<void> {
  try {
    await migrate(url);
  } catch (cause) {
    if (!external) throw cause;
    throw new EmbeddedError('postgres_not_ready', `DATABASE_URL: ${reasonOf(cause)}`, { cause });
  }
}

const packageRoot = path.dirname(import.meta.dirname.replace(/([\\/])dist([\\/]embedded)$/, '$2'));

const COMMANDS: Record<RoleName, readonly string[]> = {
  api: ['serve'],
  relay: ['relay'],
  worker: ['worker'],
  golem: ['worker', '--queues', 'backend-golem'],
};

function ownCommand(role: RoleName): RoleCommand {
  const main = path.join(packageRoot, 'dist', 'cli', 'main.js');
  return { program: process.execPath, words: ['--enable-source-maps', main, ...COMMANDS[role]] };
}
