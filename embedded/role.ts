import { availableParallelism } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { EmbeddedError, reasonOf } from './failure.ts';
import { ROLE_READY_MS, ROLE_STOP_MS } from './limits.ts';
import { sizeOf, tailOf } from './log-file.ts';
import { removePidFile, writePidFile } from './pid-file.ts';
import { type Running } from './supervise.ts';
import { type ServiceProcess, startService } from './service-process.ts';

/** A Beacon role in a process of its own. */
export interface RoleCommand {
  program: string;
  words: readonly string[];
}

/**
 * What a role sends over IPC when it does its work: `process.send({ ready: true, … })`; the API adds `url`, where it
 * listens. A role ends by itself when the channel closes (`process.on('disconnect')`): its supervisor is gone.
 */
const readyMessage = z.looseObject({ ready: z.literal(true), url: z.url().optional() });
export type RoleInfo = z.infer<typeof readyMessage>;

export interface RunningRole extends Running {
  info: RoleInfo;
}

export interface RoleOptions {
  name: string;
  command: RoleCommand;
  env: NodeJS.ProcessEnv;
  cwd: string;
  logs: string;
  run: string;
  signal: AbortSignal;
}

/** Threads of the runtime's pool, unless the machine has fewer cores. */
const POOL_THREADS = 4;

/**
 * What the runtime reads before any code of ours runs, for a process of ours; what the operator sets goes before it. More
 * threads in the pool than cores only take turns (docs/performance.md, intake), and every thread that keeps an arena of the
 * allocator holds memory that it does not use.
 */
export function runtimeSettings(): NodeJS.ProcessEnv {
  return {
    MALLOC_ARENA_MAX: '2',
    UV_THREADPOOL_SIZE: String(Math.min(POOL_THREADS, Math.max(2, availableParallelism()))),
  };
}

/** Starts a role and waits until it says that it is ready. */
export async function startRole(options: RoleOptions): Promise<RunningRole> {
  const { name, command, env, cwd, run, signal } = options;
  signal.throwIfAborted();
  const logFile = path.join(options.logs, `${name}.log`);
  const since = await sizeOf(logFile);
  const service = startService({
    ...command,
    cwd,
    env: { ...runtimeSettings(), ...env },
    logFile,
    ipc: true,
  });
  const { identity } = service;
  if (identity !== null) writePidFile(run, name, identity);
  const ended = service.ended.then(async (reason) => {
    await removePidFile(run, name);
    return `${reason}${await lastLine(logFile, since)}`;
  });
  const stop = (force?: AbortSignal) =>
    service
      .stop([{ signal: 'SIGTERM', graceMs: ROLE_STOP_MS }], force)
      .then(() => ended.then(() => undefined));
  try {
    const info = await untilReady(service, ended, signal).catch((error: unknown) => {
      throw new EmbeddedError(
        'role_not_ready',
        `${name} did not start: ${reasonOf(error)} (log: ${logFile})`,
      );
    });
    if (identity === null)
      throw new EmbeddedError('role_not_ready', `${name} ended at once (log: ${logFile})`);
    return { identity, ended, info, stop };
  } catch (error) {
    await stop(AbortSignal.abort());
    throw error;
  }
}

async function untilReady(
  { child }: ServiceProcess,
  ended: Promise<string>,
  signal: AbortSignal,
): Promise<RoleInfo> {
  const over = new AbortController();
  try {
    return await Promise.race([
      new Promise<RoleInfo>((resolve) => {
        child.on('message', (message) => {
          const ready = readyMessage.safeParse(message);
          if (ready.success) resolve(ready.data);
        });
      }),
      ended.then((reason) => {
        throw new Error(reason);
      }),
      sleep(ROLE_READY_MS, undefined, { signal: AbortSignal.any([signal, over.signal]) }).then(() => {
        throw new Error(`not ready within ${ROLE_READY_MS / 1000} s`);
      }),
    ]);
  } finally {
    over.abort();
  }
}

/** The last thing it wrote, which mostly says why. */
async function lastLine(logFile: string, since: number): Promise<string> {
  const line = (await tailOf(logFile, 2_000, since)).trim().split('\n').at(-1) ?? '';
  if (line === '') return '';
  try {
    const { msg, err } = z
      .looseObject({ msg: z.string().optional(), err: z.looseObject({ message: z.string() }).optional() })
      .parse(JSON.parse(line));
    const said = [msg, err?.message].filter((text) => text !== undefined).join(': ');
    return said === '' ? '' : `; last words: ${said.slice(0, 300)}`;
  } catch {
    return `; last words: ${line.slice(0, 300)}`;
  }
}
