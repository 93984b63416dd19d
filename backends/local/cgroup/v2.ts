import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { keyed, killAll, processesIn, readOr, removeGroups, subfolders, write } from './files.ts';
import { CPU_PERIOD_US, type ControlGroups, type Controlled, type JobGroup } from './group.ts';

const MOUNT = '/sys/fs/cgroup';
const CONTROLLERS = ['memory', 'pids', 'cpu'] as const satisfies Controlled[];

/**
 * The one hierarchy. Controllers reach children only of a group without processes of its own, or of the root; so the
 * own group is tried first (a delegated one may allow it) and the root second.
 */
export function controlGroupsV2(baseName: string): ControlGroups | null {
  if (!existsSync(join(MOUNT, 'cgroup.controllers'))) return null;
  const own = /^0::(.*)$/m.exec(readOr('/proc/self/cgroup', ''))?.[1] ?? '/';
  for (const parent of new Set([join(MOUNT, own), MOUNT])) {
    const groups = dividing(parent, baseName);
    if (groups !== null) return groups;
  }
  return null;
}

function dividing(parent: string, baseName: string): ControlGroups | null {
  const base = join(parent, baseName);
  const enforces = new Set<Controlled>();
  try {
    for (const controller of CONTROLLERS) write(join(parent, 'cgroup.subtree_control'), `+${controller}`);
    mkdirSync(base, { recursive: true });
    for (const controller of CONTROLLERS) write(join(base, 'cgroup.subtree_control'), `+${controller}`);
    const given = readOr(join(base, 'cgroup.subtree_control'), '').trim().split(/\s+/);
    for (const controller of CONTROLLERS) if (given.includes(controller)) enforces.add(controller);
  } catch {
    return null;
  }
  if (enforces.size === 0) return null;

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
      kill: () => {
        if (!write(join(folder, 'cgroup.kill'), '1')) killAll([folder]);
      },
      remove: () => removeGroups([folder]),
    };
  };

  return {
    version: 2,
    enforces,
    open,
    names: () => subfolders(base),
    create(name, limits) {
      const folder = join(base, name);
      mkdirSync(folder, { recursive: true });
      const set = (file: string, value: string): void => {
        if (!write(join(folder, file), value)) throw new Error(`cannot set ${file} in ${folder}`);
      };
      if (enforces.has('memory') && limits.memoryBytes !== undefined) {
        set('memory.max', String(limits.memoryBytes));
        write(join(folder, 'memory.swap.max'), '0');
      }
      if (enforces.has('pids') && limits.pids !== undefined) set('pids.max', String(limits.pids));
      if (enforces.has('cpu') && limits.cpus !== undefined)
        set('cpu.max', `${Math.max(1_000, Math.round(limits.cpus * CPU_PERIOD_US))} ${CPU_PERIOD_US}`);
      return open(name);
    },
  };
}
