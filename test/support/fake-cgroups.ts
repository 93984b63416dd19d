import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Kernel } from '../../backends/local/cgroup/files.ts';
import type { Places } from '../../backends/local/cgroup/places.ts';

/** A tree in a temporary folder that looks and answers like the kernel's control file system. */
export interface FakeCgroups {
  places: Places;
  kernel: Kernel;
  /** The mount of version 2, or of one controller of version 1. */
  mount(controller?: string): string;
  read(path: string): string;
  /** As if the kernel itself wrote it. */
  put(path: string, text: string): void;
  /** From now on nothing beneath it can be changed. */
  lock(path: string): void;
  /** A group that somebody else made. */
  group(path: string, processes?: number[]): string;
}

const FILES_V2: Record<string, Record<string, string>> = {
  memory: { 'memory.max': 'max', 'memory.swap.max': 'max', 'memory.events': 'oom 0\noom_kill 0\n' },
  pids: { 'pids.max': 'max', 'pids.events': 'max 0\n' },
  cpu: { 'cpu.max': 'max 100000' },
};
const FILES_V1: Record<string, Record<string, string>> = {
  memory: { 'memory.limit_in_bytes': '9223372036854771712', 'memory.oom_control': 'oom_kill 0\n' },
  pids: { 'pids.max': 'max', 'pids.events': 'max 0\n' },
  cpu: { 'cpu.cfs_period_us': '100000', 'cpu.cfs_quota_us': '-1', 'cpu.stat': 'nr_throttled 0\n' },
  cpuacct: { 'cpuacct.usage': '0\n' },
};
const CPU_STAT_V2 = 'usage_usec 0\nnr_throttled 0\n';

/** What every kind of tree shares: changes by files that exist, folders that vanish when nothing lives in them. */
function tree(
  folder: string,
  own: string,
  mounts: string[],
  made: (path: string) => void,
  change: (path: string, value: string) => boolean,
): FakeCgroups {
  const locked: string[] = [];
  const isLocked = (path: string): boolean =>
    locked.some((one) => path === one || path.startsWith(`${one}/`));
  const processesIn = (path: string): string => readOr(join(path, 'cgroup.procs')).trim();
  mkdirSync(join(folder, 'proc', 'self'), { recursive: true });
  writeFileSync(join(folder, 'mounts'), mounts.join('\n'));
  writeFileSync(join(folder, 'proc', 'self', 'cgroup'), own);
  const make = (path: string): void => {
    if (existsSync(path)) return;
    make(dirname(path));
    mkdirSync(path);
    writeFileSync(join(path, 'cgroup.procs'), '');
    made(path);
  };
  return {
    places: { mounts: join(folder, 'mounts'), processes: join(folder, 'proc') },
    mount: (controller = '') => join(folder, 'fs', controller),
    read: readOr,
    put: (path, text) => writeFileSync(path, text),
    lock: (path) => void locked.push(path),
    group(path, processes = []) {
      make(path);
      writeFileSync(join(path, 'cgroup.procs'), processes.map((pid) => `${pid}\n`).join(''));
      return path;
    },
    kernel: {
      write: (path, value) => !isLocked(path) && existsSync(path) && change(path, value),
      makeFolder(path) {
        if (isLocked(path)) throw Object.assign(new Error('EACCES'), { code: 'EACCES' });
        make(path);
      },
      removeFolder(path) {
        if (!existsSync(path)) return true;
        const children = readdirSync(path).some((name) => statSync(join(path, name)).isDirectory());
        if (isLocked(path) || children || processesIn(path) !== '') return false;
        rmSync(path, { recursive: true });
        return true;
      },
    },
  };
}

/** Version 2: one hierarchy, controllers handed down from group to group. `own` is this process's path. */
export function fakeCgroupsV2(folder: string, controllers: string[], own = '/'): FakeCgroups {
  const root = join(folder, 'fs');
  const processesIn = (path: string): string => readOr(join(path, 'cgroup.procs')).trim();
  const fake = tree(
    folder,
    `0::${own}\n`,
    ['proc /proc proc rw 0 0', `cgroup2 ${root} cgroup2 rw 0 0`],
    (path) => {
      const given = path === root ? controllers : words(join(dirname(path), 'cgroup.subtree_control'));
      writeFileSync(join(path, 'cgroup.controllers'), given.join(' '));
      writeFileSync(join(path, 'cgroup.subtree_control'), '');
      writeFileSync(join(path, 'cpu.stat'), CPU_STAT_V2);
      if (path === root) return;
      for (const controller of given)
        for (const [file, text] of Object.entries(FILES_V2[controller] ?? {}))
          writeFileSync(join(path, file), text);
    },
    (path, value) => {
      const group = dirname(path);
      if (!path.endsWith('/cgroup.subtree_control')) {
        writeFileSync(path, value);
        return true;
      }
      const controller = value.replace(/^\+/, '');
      if (!words(join(group, 'cgroup.controllers')).includes(controller)) return false;
      // No processes within: only the root may have both.
      if (group !== root && processesIn(group) !== '') return false;
      const active = new Set([...words(path), controller]);
      writeFileSync(path, [...active].join(' '));
      return true;
    },
  );
  fake.group(root);
  if (own !== '/') fake.group(join(root, own), [process.pid]);
  return fake;
}

/** Version 1: one hierarchy per entry, of one controller or several (`cpu,cpuacct`). */
export function fakeCgroupsV1(folder: string, hierarchies: string[], own = '/'): FakeCgroups {
  const at = (controllers: string): string => join(folder, 'fs', controllers);
  const fake = tree(
    folder,
    hierarchies.map((controllers, index) => `${index + 1}:${controllers}:${own}\n`).join(''),
    hierarchies.map((controllers) => `cgroup ${at(controllers)} cgroup rw,relatime,${controllers} 0 0`),
    (path) => {
      const controllers = hierarchies.find((one) => path === at(one) || path.startsWith(`${at(one)}/`));
      for (const controller of controllers?.split(',') ?? [])
        for (const [file, text] of Object.entries(FILES_V1[controller] ?? {}))
          writeFileSync(join(path, file), text);
    },
    (path, value) => {
      writeFileSync(path, value);
      return true;
    },
  );
  for (const controllers of hierarchies) fake.group(join(at(controllers), own), [process.pid]);
  return fake;
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function words(path: string): string[] {
  return readOr(path)
    .split(/\s+/)
    .filter((word) => word !== '');
}
