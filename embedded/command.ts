import { spawn } from 'node:child_process';
import { type Account, spawnAs } from './account.ts';
import { sendSignal } from './process-identity.ts';

export interface CommandOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  account?: Account | null;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
  /** What it reads on its standard input; default: nothing. */
  input?: string;
  /** Called with each line of either stream. */
  onLine?: (line: string) => void;
}

export interface CommandResult {
  /** Null when a signal ended it, or it could not be started. */
  code: number | null;
  /** Both streams, the last 64 KiB. */
  output: string;
}

const KEPT_CHARACTERS = 65_536;

/** Runs a command to its end, in a process group of its own that ends with it; never longer than `timeoutMs`. */
export async function runCommand(
  program: string,
  words: readonly string[],
  { cwd, env = process.env, account = null, timeoutMs, signal, input, onLine }: CommandOptions,
): Promise<CommandResult> {
  signal?.throwIfAborted();
  return new Promise((resolve) => {
    let output = '';
    let rest = '';
    const child = spawn(program, words, {
      ...(cwd === undefined ? {} : { cwd }),
      ...spawnAs(account),
      env,
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    // It may end without having read it.
    child.stdin.on('error', () => undefined).end(input ?? '');
    const take = (chunk: string) => {
      output = (output + chunk).slice(-KEPT_CHARACTERS);
      if (!onLine) return;
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      lines.forEach(onLine);
    };
    child.stdout.setEncoding('utf8').on('data', take);
    child.stderr.setEncoding('utf8').on('data', take);
    const kill = (why: string) => {
      output += `\n${why}`;
      if (child.pid !== undefined) sendSignal(child.pid, 'SIGKILL', { group: true });
    };
    const timer = setTimeout(() => kill(`stopped after ${timeoutMs / 1000} s`), timeoutMs);
    const abort = () => kill('stopped on request');
    signal?.addEventListener('abort', abort, { once: true });
    const settle = (code: number | null) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      resolve({ code, output });
    };
    child.once('error', (error) => {
      output += error.message;
      settle(null);
    });
    child.once('close', (code) => settle(code));
  });
}
