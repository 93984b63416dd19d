import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { type Account, spawnAs } from './account.ts';
import { reasonOf } from './failure.ts';
import { openLog } from './log-file.ts';
import { KILL_MS } from './limits.ts';
import { identify, type ProcessIdentity, sendSignal, type StopStep } from './process-identity.ts';
import { waitUntil } from './wait-until.ts';

export interface ServiceCommand {
  program: string;
  words: readonly string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
  logFile: string;
  account?: Account | null;
  /** Opens an IPC channel; a role that sees it close knows that its supervisor is gone. */
  ipc?: boolean;
}

export interface ServiceProcess {
  /** Null when the program could not be started at all. */
  identity: ProcessIdentity | null;
  child: ChildProcess;
  /** Resolves with the reason in words when the process has ended, never rejects. */
  ended: Promise<string>;
  hasEnded(): boolean;
  /** Sends one signal after the other until it is gone, at last (or when `force` aborts) SIGKILL to the whole group. */
  stop(steps: readonly StopStep[], force?: AbortSignal): Promise<void>;
}

/** Starts a long-lived child in a session of its own (Ctrl-C on our terminal must not reach it) that logs to a file. */
export function startService(command: ServiceCommand): ServiceProcess {
  using log = openLog(command.logFile);
  const stdio: StdioOptions = ['ignore', log.fd, log.fd, ...(command.ipc === true ? ['ipc' as const] : [])];
  const child = spawn(command.program, command.words, {
    cwd: command.cwd,
    env: command.env,
    ...spawnAs(command.account ?? null),
    detached: true,
    stdio,
  });
  let over = false;
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => {
      over ||= child.pid === undefined;
      resolve(reasonOf(error));
    });
    child.once('exit', (code, signal) => {
      over = true;
      resolve(signal === null ? `exit code ${code ?? 'unknown'}` : signal);
    });
  });
  const { pid } = child;
  return {
    identity: pid === undefined ? null : identify(pid),
    child,
    ended,
    hasEnded: () => over,
    async stop(steps, force) {
      if (pid === undefined) return;
      const hurry = () => over || force?.aborted === true;
      for (const { signal, graceMs } of steps) {
        if (hurry()) break;
        sendSignal(pid, signal);
        await waitUntil(hurry, { timeoutMs: graceMs, everyMs: 10 });
      }
      // What it may have left behind in its group goes with it.
      sendSignal(pid, 'SIGKILL', { group: true });
      await waitUntil(() => over, { timeoutMs: KILL_MS, everyMs: 10 });
    },
  };
}
