import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  keyed,
  killAll,
  processesIn,
  readOr,
  removeGroups,
  removeIfEmpty,
  subfolders,
  write,
} from './files.ts';
import {
  CPU_PERIOD_US,
  type ControlGroups,
  type Controlled,
  type GroupLimits,
  type JobGroup,
} from './group.ts';

const CONTROLLERS = ['memory', 'pids', 'cpu'] as const satisfies Controlled[];

/** One hierarchy per controller; a job's group is a folder of its own name in each that is writable. */
export function controlGroupsV1(baseName: string): ControlGroups | null {
  const bases = new Map<Controlled, string>();
  for (const controller of CONTROLLERS) {
    const own = ownFolder(controller);
    if (own === null) continue;
    const base = join(own, baseName);
    try {
      mkdirSync(base, { recursive: true });
      bases.set(controller, base);
    } catch {
      // not ours to divide: this controller is not enforced
    }
  }
  if (bases.size === 0) return null;

  const open = (name: string): JobGroup => {
    const folder = (controller: Controlled): string | null => {
      const base = bases.get(controller);
      return base === undefined ? null : join(base, name);
    };
    const folders = [...bases.values()].map((base) => join(base, name));
    const count = (controller: Controlled, file: string, key: string): number => {
      const where = folder(controller);
      return where === null ? 0 : keyed(join(where, file), key);
    };
    return {
      joinFiles: folders.map((path) => join(path, 'cgroup.procs')),
      processes: () => [...new Set(folders.flatMap(processesIn))],
      interventions: () => ({
        memory: count('memory', 'memory.oom_control', 'oom_kill'),
        pids: count('pids', 'pids.events', 'max'),
        cpu: count('cpu', 'cpu.stat', 'nr_throttled'),
      }),
      kill: () => killAll(folders),
      remove: async () => {
        await removeGroups(folders);
        // The last one takes the base along, so nothing of us stays on the machine.
        removeIfEmpty([...bases.values()]);
      },
    };
  };

  return {
    version: 1,
    enforces: new Set(bases.keys()),
    open,
    names: () => [...new Set([...bases.values()].flatMap(subfolders))],
    create(name, limits) {
      for (const [controller, base] of bases) {
        const folder = join(base, name);
        mkdirSync(folder, { recursive: true });
        if (!apply(controller, folder, limits))
          throw new Error(`cannot set the ${controller} limit in ${folder}`);
      }
      return open(name);
    },
  };
}

function apply(controller: Controlled, folder: string, limits: GroupLimits): boolean {
  if (controller === 'memory' && limits.memoryBytes !== undefined) {
    const bytes = String(limits.memoryBytes);
    const set = write(join(folder, 'memory.limit_in_bytes'), bytes);
    // Absent where swap is not accounted.
    write(join(folder, 'memory.memsw.limit_in_bytes'), bytes);
    return set;
  }
  if (controller === 'pids' && limits.pids !== undefined)
    return write(join(folder, 'pids.max'), String(limits.pids));
  if (controller === 'cpu' && limits.cpus !== undefined)
    return (
      write(join(folder, 'cpu.cfs_period_us'), String(CPU_PERIOD_US)) &&
      write(
        join(folder, 'cpu.cfs_quota_us'),
        String(Math.max(1_000, Math.round(limits.cpus * CPU_PERIOD_US))),
      )
    );
  return true;
}

/** This process's own folder of one controller's hierarchy; in a container the path may be the host's, then the mount is ours. */
function ownFolder(controller: Controlled): string | null {
  const mount = readOr('/proc/self/mounts', '')
    .split('\n')
    .map((line) => line.split(' '))
    .find(([, , type, options]) => type === 'cgroup' && options?.split(',').includes(controller))?.[1];
  if (mount === undefined) return null;
  const path = readOr('/proc/self/cgroup', '')
    .split('\n')
    .map((line) => line.split(':'))
    .find(([, controllers]) => controllers?.split(',').includes(controller))?.[2];
  if (path === undefined) return null;
  const own = join(mount, path);
  return readOr(join(own, 'cgroup.procs'), '') === '' ? mount : own;
}
