import { existsSync, lstatSync, readlinkSync } from 'node:fs';
import { BOUNDS } from './bounds.ts';
import type { ControlGroups } from './cgroup/group.ts';
import type { EnforcedLimits, Ended, Isolation, Task } from './isolation.ts';
import { isRoot, type JobUser } from './job-users.ts';
import { hasEnded, kill, tasksOfUser } from './process-table.ts';
import { Refusal } from '../refusal.ts';
import { resourceLimits, supervise, type Tree } from './supervise.ts';

/** Where things stand inside every sandbox. */
export const INSIDE = {
  input: '/beacon/in/input.json',
  inputFolder: '/beacon/in',
  output: '/beacon/out',
  program: '/beacon/program',
} as const;

/** Who the job is inside; outside it is a user of its own. */
const NOBODY = '65534';
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What the probe found of the tools that a sandbox without an engine is made of. */
export interface SandboxTools {
  bwrap: string;
  prlimit: string | null;
  /** As root only. */
  setpriv: string | null;
  /** Nested user namespaces can be refused (bubblewrap 0.8). */
  disableUserns: boolean;
}

export interface BubblewrapMachine {
  tools: SandboxTools;
  groups: ControlGroups | null;
  mark(name: string): string;
}

export function bubblewrapIsolation({ tools, groups, mark }: BubblewrapMachine): Isolation {
  const ownUser = isRoot() && tools.prlimit !== null;
  return {
    kind: 'bubblewrap',
    limits: (task) => ({
      ...enforcedByGroup(groups, task),
      ...(groups?.enforces.has('pids') === true ? {} : { pids: ownUser ? task.terms.pids : null }),
      open_files: tools.prlimit === null ? null : BOUNDS.openFiles,
      file_bytes: tools.prlimit === null ? null : BOUNDS.fileBytes,
      tmp_bytes: BOUNDS.tmpBytes,
      network: 0,
    }),
    async run(task) {
      const group = groups?.create(task.name, task.terms) ?? null;
      try {
        const ended = await supervise(task, {
          argv: [...confined(tools, groups, task), ...bubblewrapArguments(tools, task)],
          mark: mark(task.name),
          group,
          tree: (pid, info) => namespaceTree(pid, info, () => group?.processes() ?? []),
        });
        return understood(task, ended);
      } finally {
        await group?.remove();
      }
    },
  };
}

/** What holds for every kind of child process. */
export function enforcedByGroup(groups: ControlGroups | null, task: Task): EnforcedLimits {
  const has = groups?.enforces ?? new Set();
  return {
    memory_bytes: has.has('memory') ? task.terms.memoryBytes : null,
    cpu_cores: has.has('cpu') ? task.terms.cpus : null,
    cpu_seconds: has.has('time') ? task.terms.cpuSeconds : null,
    pids: has.has('pids') ? task.terms.pids : null,
    open_files: null,
    file_bytes: null,
    folder_bytes: BOUNDS.folderBytes,
    tmp_bytes: null,
    stdout_bytes: BOUNDS.stdoutBytes,
    wall_ms: task.budgetMs,
    network: null,
  };
}

/** prlimit and the change of user, in front of what runs. Without a memory group one process's data is bounded at least. */
export function confined(
  tools: Pick<SandboxTools, 'prlimit' | 'setpriv'>,
  groups: ControlGroups | null,
  task: { user: JobUser | null; terms: Task['terms'] },
): string[] {
  const argv: string[] = [];
  if (tools.prlimit !== null)
    argv.push(
      tools.prlimit,
      ...resourceLimits({
        pids: processLimit(groups, task),
        dataBytes: groups?.enforces.has('memory') === true ? null : task.terms.memoryBytes,
        cpuSeconds: task.terms.cpuSeconds,
      }),
    );
  if (task.user !== null && tools.setpriv !== null)
    argv.push(tools.setpriv, `--reuid=${task.user.uid}`, `--regid=${task.user.gid}`, '--clear-groups');
  return argv;
}

/** The group tells that it refused a process and this limit does not, so this one stands behind it where there is one. */
function processLimit(
  groups: ControlGroups | null,
  task: { user: JobUser | null; terms: Task['terms'] },
): number {
  const { pids } = task.terms;
  if (task.user === null) return forkBombNet(pids);
  return groups?.enforces.has('pids') === true ? 2 * pids : pids;
}

/** An ordinary user's other programs count too: no limit that could be promised, only a net under a fork bomb. */
function forkBombNet(pids: number): number {
  return tasksOfUser(process.getuid?.() ?? 0) + 8 * pids;
}

export function bubblewrapArguments(
  tools: SandboxTools,
  task: Pick<Task, 'program' | 'folder' | 'terms'>,
): string[] {
  const { program, folder } = task;
  if (program.kind === 'engine') throw new Error('an image of the engine cannot run in bubblewrap');
  const environment: Record<string, string> = {
    PATH: DEFAULT_PATH,
    HOME: '/tmp',
    ...(program.kind === 'rootfs' ? program.environment : {}),
    ...task.terms.environment,
    BEACON_INPUT: INSIDE.input,
    BEACON_OUTPUT_DIR: INSIDE.output,
  };
  return [
    tools.bwrap,
    '--unshare-all',
    '--unshare-user',
    ...(tools.disableUserns ? ['--disable-userns'] : []),
    '--die-with-parent',
    '--new-session',
    ...['--uid', NOBODY, '--gid', NOBODY, '--hostname', 'job', '--cap-drop', 'ALL', '--info-fd', '3'],
    '--clearenv',
    ...Object.entries(environment).flatMap(([name, value]) => ['--setenv', name, value]),
    ...(program.kind === 'rootfs' ? ['--ro-bind', program.rootfs, '/'] : hostUserland(program.programFolder)),
    ...['--proc', '/proc', '--dev', '/dev', '--remount-ro', '/dev'],
    ...['--size', String(BOUNDS.tmpBytes), '--tmpfs', '/tmp'],
    ...['--ro-bind', folder.inputFolder, INSIDE.inputFolder, '--bind', folder.output, INSIDE.output],
    ...['--remount-ro', '/', '--chdir', program.kind === 'rootfs' ? program.workingFolder : '/tmp'],
    '--',
    ...program.argv,
  ];
}

/** Interpreters and libraries of the host, read-only, and nothing that says anything about it (no /etc, no /var). */
function hostUserland(programFolder: string | null): string[] {
  const argv = ['--ro-bind', '/usr', '/usr'];
  for (const folder of ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32']) {
    if (!existsSync(folder)) continue;
    if (lstatSync(folder).isSymbolicLink()) argv.push('--symlink', readlinkSync(folder), folder);
    else argv.push('--ro-bind', folder, folder);
  }
  if (programFolder !== null) argv.push('--ro-bind', programFolder, INSIDE.program);
  return argv;
}

/**
 * The launcher's death kills the first process of the namespace, and that one's death everything else; it counts as
 * gone only when all others are.
 */
function namespaceTree(pid: number, info: NodeJS.ReadableStream, grouped: () => number[]): Tree {
  let text = '';
  let first: number | null = null;
  info.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    first ??= Number(/"child-pid": (\d+)/.exec(text)?.[1] ?? 0) || null;
  });
  return {
    kill() {
      kill(pid);
      if (first !== null) kill(first);
      for (const member of grouped()) kill(member);
    },
    gone: () => hasEnded(pid) && (first === null || hasEnded(first)) && grouped().every(hasEnded),
  };
}

/** bubblewrap says on stderr why it could not start; a missing program is the job's fault, everything else the machine's. */
function understood(task: Task, ended: Ended): Ended {
  const said = task.streams.stderrHead;
  if (ended.stopped !== null || ended.exitCode === null || !/^(bwrap|setpriv|prlimit): /.test(said))
    return ended;
  const line = said.split('\n', 1)[0] ?? '';
  if (ended.exitCode === 1 && line.startsWith('bwrap: execvp ')) return { ...ended, exitCode: 127 };
  if ([1, 125, 126, 127].includes(ended.exitCode) && !line.startsWith('bwrap: execvp '))
    throw new Refusal('sandbox_unavailable', `the sandbox did not start: ${line} (see: beacon doctor)`);
  return ended;
}
