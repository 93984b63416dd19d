import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
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
import { CPU_PERIOD_US, cpuQuotaUs, type ControlGroups, type Controlled, type JobGroup } from './group.ts';
import { memberships, mountedAt, SYSTEM, UNIFIED, type Places } from './places.ts';

const CONTROLLERS = ['memory', 'pids', 'cpu'] as const satisfies Controlled[];

/**
 * The one hierarchy. Controllers reach children only of a group without processes of its own, or of the root. So the own
 * group is tried first, then the one above it (delegated, as by `DelegateSubgroup=` of systemd), then the root.
 */
export function controlGroupsV2(
  baseName: string,
  places: Places = SYSTEM,
  kernel: Kernel = KERNEL,
): ControlGroups | null {
  const mount = mountedAt(places).get(UNIFIED);
  if (mount === undefined) return null;
  const path = memberships(places, 'self').get(UNIFIED) ?? '/';
  // A path out of the own namespace says where the host sees this process; there is no such folder here.
  const own = path.startsWith('/..') ? '/' : path;
  for (const parent of new Set([own, dirname(own), '/'])) {
    const groups = dividing(join(mount, parent), baseName, kernel);
    if (groups !== null) return groups;
  }
  return null;
}

function dividing(parent: string, baseName: string, kernel: Kernel): ControlGroups | null {
  if (!existsSync(join(parent, 'cgroup.subtree_control'))) return null;
  const base = join(parent, baseName);
  const pass = (folder: string): string[] => {
    const control = join(folder, 'cgroup.subtree_control');
    // One by one: a write with one controller that is not there would change nothing.
    for (const controller of CONTROLLERS) kernel.write(control, `+${controller}`);
    return readOr(control, '').trim().split(/\s+/);
  };
  try {
    pass(parent);
    kernel.makeFolder(base);
  } catch {
    return null;
  }
  const given = pass(base);
  const enforces = new Set<Controlled>(CONTROLLERS.filter((controller) => given.includes(controller)));
  if (enforces.size === 0) {
    kernel.removeFolder(base);
    return null;
  }
  // Counted in every group, with or without the controller.
  enforces.add('time');

  const open = (name: string): JobGroup => {
    const folder = join(base, name);
    return {
      joinFiles: [join(folder, 'cgroup.procs')],
      processes: () => processesIn(folder),
      interventions: () => ({
        memory: keyed(join(folder, 'memory.events'), 'oom_kill'),
        pids: keyed(join(folder, 'pids.events'), 'max'),
        cpu: keyed(join(folder, 'cpu.stat'), 'nr_throttled'),
      }),
      cpuMs: () => keyed(join(folder, 'cpu.stat'), 'usage_usec') / 1e3,
      kill: () => {
        // Older kernels have no such file.
        if (!kernel.write(join(folder, 'cgroup.kill'), '1')) killAll([folder]);
      },
      remove: () => removeGroups(kernel, [folder]),
    };
  };

  return {
    version: 2,
    enforces,
    open,
    names: () => subfolders(base),
    create(name, limits) {
      const folder = join(base, name);
      kernel.makeFolder(folder);
      const set = (controlled: Controlled, file: string, value: string | number | undefined): void => {
        if (value === undefined || !enforces.has(controlled)) return;
        if (kernel.write(join(folder, file), String(value))) return;
        kernel.removeFolder(folder);
        throw new Error(`cannot set ${file} in ${folder}`);
      };
      set('memory', 'memory.max', limits.memoryBytes);
      // Absent where swap is not accounted.
      if (enforces.has('memory')) kernel.write(join(folder, 'memory.swap.max'), '0');
      set('pids', 'pids.max', limits.pids);
      set(
        'cpu',
        'cpu.max',
        limits.cpus === undefined ? undefined : `${cpuQuotaUs(limits.cpus)} ${CPU_PERIOD_US}`,
      );
      return open(name);
    },
  };
}
