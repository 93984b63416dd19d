import { readOr } from './files.ts';

/** Where the kernel shows which control groups there are; tests name files of their own. */
export interface Places {
  /** In the form of /proc/self/mounts. */
  mounts: string;
  /** In the form of /proc, of which `<pid>/cgroup` is read. */
  processes: string;
}

export const SYSTEM: Places = { mounts: '/proc/self/mounts', processes: '/proc' };

/** The name under which the one hierarchy of version 2 stands among those of version 1. */
export const UNIFIED = '';

/** Where each hierarchy is mounted, by controller. */
export function mountedAt({ mounts }: Places): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of readOr(mounts, '').split('\n')) {
    const [, mount, type, options] = line.split(' ');
    if (mount === undefined) continue;
    if (type === 'cgroup2') found.set(UNIFIED, found.get(UNIFIED) ?? mount);
    if (type !== 'cgroup') continue;
    for (const controller of options?.split(',') ?? []) found.set(controller, found.get(controller) ?? mount);
  }
  return found;
}

/** A process's place in each hierarchy, by controller; empty when there is no such process. */
export function memberships({ processes }: Places, pid: number | 'self'): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of readOr(`${processes}/${pid}/cgroup`, '').split('\n')) {
    const match = /^\d+:([^:]*):(\/.*)$/.exec(line);
    if (match === null) continue;
    for (const controller of match[1]!.split(',')) found.set(controller, match[2]!);
  }
  return found;
}
