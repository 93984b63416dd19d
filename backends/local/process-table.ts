import { readdirSync, readFileSync, statSync } from 'node:fs';

/** What /proc tells about the machine's processes; empty where there is no /proc. */

/** The variable by which processes of a work name are found again, also by another worker after a crash. */
export const MARKER = 'BEACON_WORK';

function processIds(): number[] {
  try {
    return readdirSync('/proc')
      .map(Number)
      .filter((pid) => Number.isInteger(pid) && pid > 1);
  } catch {
    return [];
  }
}

/** Marks of the processes that carry one beginning with `prefix`. A process that hides its environment is not found. */
export function markedProcesses(prefix: string): { pid: number; mark: string }[] {
  const found: { pid: number; mark: string }[] = [];
  const wanted = `${MARKER}=${prefix}`;
  for (const pid of processIds()) {
    let environment: string;
    try {
      environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
    } catch {
      continue;
    }
    if (!environment.includes(wanted)) continue;
    const mark = environment.split('\0').find((entry) => entry.startsWith(wanted));
    if (mark !== undefined && !hasEnded(pid)) found.push({ pid, mark: mark.slice(MARKER.length + 1) });
  }
  return found;
}

export function processesMarked(mark: string): number[] {
  return markedProcesses(mark)
    .filter((found) => found.mark === mark)
    .map((found) => found.pid);
}

/** Everything, threads included, that counts against one user's process limit. */
export function tasksOfUser(uid: number): number {
  let tasks = 0;
  for (const pid of processesOfUser(uid)) {
    try {
      tasks += readdirSync(`/proc/${pid}/task`).length;
    } catch {
      // ended meanwhile
    }
  }
  return tasks;
}

/** Living processes of one user. */
export function processesOfUser(uid: number): number[] {
  return processIds().filter((pid) => {
    try {
      return statSync(`/proc/${pid}`).uid === uid && !hasEnded(pid);
    } catch {
      return false;
    }
  });
}

/** Gone, or a zombie that only waits to be collected. The first process of a PID namespace is one only when all others are gone. */
export function hasEnded(pid: number): boolean {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return true;
  }
  const state = stat.charAt(stat.lastIndexOf(')') + 2);
  return state === 'Z' || state === 'X';
}

/** "Already gone" is success; a negative id means the process group. */
export function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (
      (error as NodeJS.ErrnoException).code !== 'ESRCH' &&
      (error as NodeJS.ErrnoException).code !== 'EPERM'
    )
      throw error;
  }
}
