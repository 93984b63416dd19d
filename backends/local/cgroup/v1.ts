import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  KERNEL,
  keyed,
  killAll,
  processesIn,
  readOr,
  removeGroups,
  subfolders,
  type Kernel,
} from './files.ts';
import {
  CPU_PERIOD_US,
  cpuQuotaUs,
  type ControlGroups,
  type Controlled,
  type GroupLimits,
  type JobGroup,
} from './group.ts';
import { memberships, mountedAt, SYSTEM, type Places } from './places.ts';

/** The controller behind each limit; two of them may share one hierarchy. */
const CONTROLLERS = { memory: 'memory', pids: 'pids', cpu: 'cpu', time: 'cpuacct' } as const satisfies Record<
  Controlled,
  string
>;
const ALL = Object.keys(CONTROLLERS) as Controlled[];

/** One hierarchy per controller; a job's group is a folder of its own name in each that is writable. */
export function controlGroupsV1(
  baseName: string,
  places: Places = SYSTEM,
  kernel: Kernel = KERNEL,
): ControlGroups | null {
  const bases = new Map<Controlled, string>();
  for (const controlled of ALL) {
    const own = ownFolder(places, CONTROLLERS[controlled]);
    if (own === null) continue;
    const base = join(own, baseName);
    try {
      kernel.makeFolder(base);
      bases.set(controlled, base);
    } catch {
      // not ours to divide: this controller is not enforced
    }
  }
  if (bases.size === 0) return null;

  const open = (name: string): JobGroup => {
    const folder = (controlled: Controlled): string => join(bases.get(controlled) ?? '/nowhere', name);
    const folders = [...new Set([...bases.keys()].map(folder))];
    return {
      joinFiles: folders.filter((path) => existsSync(path)).map((path) => join(path, 'cgroup.procs')),
      processes: () => [...new Set(folders.flatMap(processesIn))],
      interventions: () => ({
        memory: keyed(join(folder('memory'), 'memory.oom_control'), 'oom_kill'),
        pids: keyed(join(folder('pids'), 'pids.events'), 'max'),
        cpu: keyed(join(folder('cpu'), 'cpu.stat'), 'nr_throttled'),
      }),
      cpuMs: () => Number(readOr(join(folder('time'), 'cpuacct.usage'), '0')) / 1e6,
      kill: () => killAll(folders),
      remove: async () => {
        await removeGroups(kernel, folders);
        // The last one takes the base along, so nothing of us stays on the machine.
        for (const base of bases.values()) kernel.removeFolder(base);
      },
    };
  };

  return {
    version: 1,
    enforces: new Set(bases.keys()),
    open,
    names: () => [...new Set([...bases.values()].flatMap(subfolders))],
    create(name, limits) {
      for (const [controlled, base] of bases) {
        // One more hierarchy to join costs milliseconds, so only where its count is asked for.
        if (controlled === 'time' && (limits.cpuSeconds ?? null) === null) continue;
        const folder = join(base, name);
        kernel.makeFolder(folder);
        if (!apply(kernel, controlled, folder, limits)) {
          for (const made of bases.values()) kernel.removeFolder(join(made, name));
          throw new Error(`cannot set the ${controlled} limit in ${folder}`);
        }
      }
      return open(name);
    },
  };
}

function apply(kernel: Kernel, controlled: Controlled, folder: string, limits: GroupLimits): boolean {
  const set = (file: string, value: number): boolean => kernel.write(join(folder, file), String(value));
  switch (controlled) {
    case 'memory': {
      if (limits.memoryBytes === undefined) return true;
      const taken = set('memory.limit_in_bytes', limits.memoryBytes);
      // Absent where swap is not accounted.
      set('memory.memsw.limit_in_bytes', limits.memoryBytes);
      return taken;
    }
    case 'pids':
      return limits.pids === undefined || set('pids.max', limits.pids);
    case 'cpu':
      return (
        limits.cpus === undefined ||
        (set('cpu.cfs_period_us', CPU_PERIOD_US) && set('cpu.cfs_quota_us', cpuQuotaUs(limits.cpus)))
      );
    case 'time':
      return true;
  }
}

/** This process's own folder of one controller's hierarchy; in a container the path may be the host's, then the mount is ours. */
function ownFolder(places: Places, controller: string): string | null {
  const mount = mountedAt(places).get(controller);
  const path = memberships(places, 'self').get(controller);
  if (mount === undefined || path === undefined) return null;
  const own = join(mount, path);
  return readOr(join(own, 'cgroup.procs'), '') === '' ? mount : own;
}
