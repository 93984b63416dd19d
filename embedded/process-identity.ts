import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { systemCode } from './failure.ts';
import { KILL_MS } from './limits.ts';
import { waitUntil } from './wait-until.ts';

/** A pid alone may name another process tomorrow; with the time of its start it names one process for ever. */
export const processIdentity = z.object({ pid: z.number().int().positive(), started: z.string().min(1) });
export type ProcessIdentity = z.infer<typeof processIdentity>;

function startedOnLinux(pid: number): string | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return null;
  }
  // The name in brackets may hold spaces and brackets: count the fields behind the last one (proc_pid_stat(5): 3 is
  // the state, 22 the start in ticks since boot).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return null;
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  return `${boot}/${fields[19] ?? ''}`;
}

function startedByPs(pid: number): string | null {
  try {
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
    const [state = '', ...started] = line.split(/\s+/);
    return line === '' || state.startsWith('Z') ? null : started.join(' ');
  } catch {
    return null;
  }
}

/** The process that now has this pid, or null when there is none (a zombie is none). */
export function identify(pid: number): ProcessIdentity | null {
  const started = process.platform === 'linux' ? startedOnLinux(pid) : startedByPs(pid);
  return started === null ? null : { pid, started };
}

export function isAlive(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.started === identity.started;
}

/** The words a process was started with, `[]` when they cannot be read. */
export function commandLine(pid: number): string[] {
  try {
    if (process.platform === 'linux') return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    const line = execFileSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
    return line.trim().split(' ');
  } catch {
    return [];
  }
}

/** Sends a signal to a process, or with `group` to all processes of the group that it leads; "gone" is no error
 * (macOS says EPERM for a group of zombies). */
export function sendSignal(pid: number, signal: NodeJS.Signals, { group = false } = {}): void {
  try {
    process.kill(group ? -pid : pid, signal);
  } catch (error) {
    if (!['ESRCH', 'EPERM'].includes(systemCode(error) ?? '')) throw error;
  }
}

export interface StopStep {
  signal: NodeJS.Signals;
  graceMs: number;
}

/** Ends exactly this process, step by step, at last with SIGKILL to its group. Does nothing when the pid is another's. */
export async function endProcess(identity: ProcessIdentity, steps: readonly StopStep[]): Promise<void> {
  const gone = () => !isAlive(identity);
  for (const { signal, graceMs } of steps) {
    if (gone()) return;
    sendSignal(identity.pid, signal);
    if (await waitUntil(gone, { timeoutMs: graceMs, everyMs: 20 })) return;
  }
  if (gone()) return;
  sendSignal(identity.pid, 'SIGKILL', { group: true });
  sendSignal(identity.pid, 'SIGKILL');
  await waitUntil(gone, { timeoutMs: KILL_MS, everyMs: 20 });
}
