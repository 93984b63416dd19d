import { BOUNDS } from './bounds.ts';
import { confined, enforcedByGroup, type SandboxTools } from './bubblewrap.ts';
import type { ControlGroups } from './cgroup/group.ts';
import type { Isolation, Task } from './isolation.ts';
import { hasEnded, kill, MARKER, processesMarked, processesOfUser } from './process-table.ts';
import { supervise, type Tree } from './supervise.ts';

/** Folders that only root writes to; `/usr/local` is left to others on some systems. */
const BARE_PATH = '/usr/bin:/bin';

export interface ProcessMachine {
  tools: Pick<SandboxTools, 'prlimit' | 'setpriv'>;
  groups: ControlGroups | null;
  mark(name: string): string;
}

/** No wall around it: only for programs that the operator listed. It still gets its own user, folder and bounds where there are any. */
export function processIsolation({ tools, groups, mark }: ProcessMachine): Isolation {
  return {
    kind: 'process',
    limits: (task) => ({
      ...enforcedByGroup(groups, task),
      ...(groups?.enforces.has('pids') === true
        ? {}
        : { pids: task.user !== null && tools.prlimit !== null ? task.terms.pids : null }),
      open_files: tools.prlimit === null ? null : BOUNDS.openFiles,
      file_bytes: tools.prlimit === null ? null : BOUNDS.fileBytes,
    }),
    async run(task) {
      const group = groups?.create(task.name, task.terms) ?? null;
      try {
        return await supervise(task, {
          argv: [...confined(tools, groups, task), ...programArguments(tools, task, mark(task.name))],
          mark: mark(task.name),
          group,
          tree: (pid) => looseTree(pid, task, mark(task.name), () => group?.processes() ?? []),
        });
      } finally {
        await group?.remove();
      }
    },
  };
}

/**
 * Only fixed words and our own paths stand before the program: nothing of a job chooses what runs. Its variables are no
 * part of this (`refuseEnvironment`); its command is arguments. A shell, not `env`, starts the program: `env` would take
 * a path with `=` in it for a variable and the job's first argument for the program.
 */
function programArguments(tools: ProcessMachine['tools'], task: Task, mark: string): string[] {
  if (task.program.kind !== 'host') throw new Error('only a program of the host can run as a bare process');
  const environment: Record<string, string> = {
    PATH: BARE_PATH,
    HOME: task.folder.tmp,
    TMPDIR: task.folder.tmp,
    BEACON_INPUT: task.folder.input,
    BEACON_OUTPUT_DIR: task.folder.output,
    [MARKER]: mark,
  };
  return [
    ...(tools.setpriv === null ? [] : [tools.setpriv, '--no-new-privs', '--pdeathsig=KILL']),
    ...['/usr/bin/env', '-i', ...Object.entries(environment).map(([name, value]) => `${name}=${value}`)],
    ...['/bin/sh', '-c', 'cd "$1" || exit 125; shift; exec "$@"', 'enter', task.folder.tmp],
    ...task.program.argv,
  ];
}

/** Without a namespace a process can leave its group and its session; it cannot leave its user, control group or mark as easily. */
function looseTree(pid: number, task: Task, mark: string, grouped: () => number[]): Tree {
  const left = (): number[] => {
    const members = [...grouped(), ...processesMarked(mark)];
    if (task.user !== null) members.push(...processesOfUser(task.user.uid));
    if (!hasEnded(pid)) members.push(pid);
    return members.filter((member) => !hasEnded(member));
  };
  return {
    kill() {
      kill(-pid);
      for (const member of left()) kill(member);
    },
    gone: () => left().length === 0,
  };
}
