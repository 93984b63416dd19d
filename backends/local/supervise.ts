import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { BOUNDS, WAITS } from './bounds.ts';
import type { JobGroup } from './cgroup/group.ts';
import { watchFolder } from './folder-watch.ts';
import type { Ended, Stopped, Task } from './isolation.ts';
import { joining } from './launcher.ts';
import { closedStdio, openPipes } from './pipes.ts';
import { MARKER } from './process-table.ts';
import { endedForTime, watchProcessorTime } from './time-watch.ts';
import { waitUntil } from './wait-until.ts';

/** How one kind of isolation ends its processes. */
export interface Tree {
  /** Kills whatever lives; called again until `gone` holds. */
  kill(): void;
  gone(): boolean;
}

export interface Launch {
  argv: string[];
  /** Of the launcher only; the program's own is part of `argv`. */
  mark: string;
  group: JobGroup | null;
  /** Called once with the launcher's pid and what it writes to descriptor 3. */
  tree(pid: number, info: NodeJS.ReadableStream): Tree;
}

const SIGNALS: Partial<Record<NodeJS.Signals, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGTERM: 15,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGSYS: 31,
};

/**
 * One program as a child of this worker. Running until it exits or a stop comes (the attempt's signal, a full stream,
 * a full folder): then everything is killed. Ends only when the tree is gone and the pipes are empty.
 */
export async function supervise(task: Task, launch: Launch): Promise<Ended> {
  const pipes = await openPipes(task.folder.path, (source, chunk) => task.streams.push(source, chunk));
  const nullDevice = openSync('/dev/null', 'r+');
  const run: { stopped: Stopped | null; tree?: Tree } = { stopped: null };
  const stop = (why: Stopped): void => {
    run.stopped ??= why;
    run.tree?.kill();
  };
  const onStop = (): void => stop('stop');
  try {
    task.stop.throwIfAborted();
    const [file, ...args] = joining(launch.group, launch.argv);
    const startedAt = new Date().toISOString();
    const begin = performance.now();
    const child = spawn(file, args, {
      cwd: '/',
      env: { [MARKER]: launch.mark },
      detached: true,
      stdio: closedStdio([nullDevice, pipes.stdout, pipes.stderr, 'pipe'], nullDevice),
    });
    const exit = new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) =>
        resolve(code ?? 128 + (signal === null ? 0 : (SIGNALS[signal] ?? 0))),
      );
    });
    pipes.started();
    const info = child.stdio[3] as NodeJS.ReadableStream;
    info.on('error', () => undefined);
    if (child.pid === undefined) await exit;
    const tree = launch.tree(child.pid!, info);
    run.tree = tree;
    task.streams.onFull = () => stop(task.streams.overflow === 'stderr' ? 'stderr' : 'stdout');
    using _folder = watchFolder(task.folder.output, task.user?.uid ?? null, stop);
    using _time = watchProcessorTime(
      launch.group === null ? null : task.terms.cpuSeconds,
      () => launch.group?.cpuMs() ?? 0,
      () => stop('cpu_seconds'),
    );
    task.stop.addEventListener('abort', onStop, { once: true });
    if (task.stop.aborted) onStop();

    const exitCode = await exit;
    const durationMs = performance.now() - begin;
    await end(tree);
    await pipes.drained();
    task.streams.end();
    const counted = launch.group?.interventions();
    // A program may end in the same moment in which its last words pass the bound.
    const stopped = run.stopped ?? task.streams.overflow;
    return {
      stopped,
      exitCode: stopped === null ? exitCode : null,
      startedAt,
      durationMs: Math.round(durationMs),
      killedForMemory: (counted?.memory ?? 0) > 0,
      refusedProcesses: (counted?.pids ?? 0) > 0,
      killedForTime: endedForTime(exitCode, launch.group?.cpuMs() ?? 0, task.terms.cpuSeconds),
    };
  } finally {
    task.stop.removeEventListener('abort', onStop);
    task.streams.onFull = () => undefined;
    pipes.started();
    closeSync(nullDevice);
  }
}

/** What outlived the program (an own session, a double fork) does not outlive this. */
export async function end(tree: Tree): Promise<void> {
  const gone = await waitUntil(() => {
    if (tree.gone()) return true;
    tree.kill();
    return false;
  }, WAITS.treeGoneMs);
  if (!gone) throw new Error('processes of the job could not be ended');
}

/** The bounds of one process and the files it writes, for `prlimit`; a job's users count processes on their own. */
export function resourceLimits(options: {
  pids: number;
  dataBytes: number | null;
  cpuSeconds: number | null;
}): string[] {
  const limits = [
    `--nofile=${BOUNDS.openFiles}`,
    // One byte more than may be handed in: a file cut off by this limit is then refused, not taken for a whole one.
    `--fsize=${BOUNDS.fileBytes + 1}`,
    '--core=0',
    `--nproc=${options.pids}`,
  ];
  if (options.dataBytes !== null) limits.push(`--data=${options.dataBytes}`);
  // The soft limit is told by a signal of its own, the hard one a second later ends whoever ignores it.
  if (options.cpuSeconds !== null) limits.push(`--cpu=${options.cpuSeconds}:${options.cpuSeconds + 1}`);
  return limits;
}
