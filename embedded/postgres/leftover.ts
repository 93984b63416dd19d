import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { systemCode } from '../failure.ts';
import { POSTGRES_QUIT_MS, POSTGRES_STOP_MS } from '../limits.ts';
import { commandLine, endProcess, identify, type StopStep } from '../process-identity.ts';

/** Fast shutdown, then without a checkpoint; SIGKILL follows by itself. */
export const postgresStopSteps: readonly StopStep[] = [
  { signal: 'SIGINT', graceMs: POSTGRES_STOP_MS },
  { signal: 'SIGQUIT', graceMs: POSTGRES_QUIT_MS },
];

/** No system gives a process this number. */
const NOBODYS_PID = 1_999_999_999;

export type Leftover = 'none' | 'stopped' | 'foreign_pid';

/**
 * Makes a data folder startable after a crash. `postmaster.pid` names a process: when that one runs on this very
 * folder (its command line says so) it is a server that outlived its parent, and is stopped. When the number now
 * belongs to somebody else, PostgreSQL would refuse to start: only the number is replaced, so that PostgreSQL still
 * checks the shared memory named there and does not start beside backends of the dead server.
 */
export async function stopLeftoverPostgres(dataFolder: string): Promise<Leftover> {
  const pidFile = path.join(dataFolder, 'postmaster.pid');
  let content: string;
  try {
    content = await readFile(pidFile, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return 'none';
    throw error;
  }
  const [first = '', ...rest] = content.split('\n');
  const pid = Number.parseInt(first, 10);
  if (!(pid > 0)) {
    // The machine stopped between creating and writing it.
    await rm(pidFile);
    return 'none';
  }
  const running = identify(pid);
  if (running === null) return 'none';
  if (commandLine(pid).includes(dataFolder)) {
    await endProcess(running, postgresStopSteps);
    return 'stopped';
  }
  await writeFile(pidFile, [String(NOBODYS_PID), ...rest].join('\n'));
  return 'foreign_pid';
}
