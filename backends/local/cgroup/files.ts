import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WAITS } from '../bounds.ts';
import { kill } from '../process-table.ts';
import { waitUntil } from '../wait-until.ts';

/** What is changed in the control file system; a test puts a model of the kernel in its place. */
export interface Kernel {
  /** True when the kernel took the value. */
  write(path: string, value: string): boolean;
  /** With its parents; throws where it may not be made. */
  makeFolder(path: string): void;
  /** True when it is gone, also when it was gone before. */
  removeFolder(path: string): boolean;
}

export const KERNEL: Kernel = {
  write(path, value) {
    try {
      writeFileSync(path, value);
      return true;
    } catch {
      return false;
    }
  },
  makeFolder: (path) => void mkdirSync(path, { recursive: true }),
  removeFolder(path) {
    try {
      rmdirSync(path);
      return true;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ENOENT';
    }
  },
};

export function readOr(path: string, fallback: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return fallback;
  }
}

/** The number after `key` in a `key value` file. */
export function keyed(path: string, key: string): number {
  return Number(new RegExp(`^${key} (\\d+)$`, 'm').exec(readOr(path, ''))?.[1] ?? 0);
}

export function processesIn(folder: string): number[] {
  return readOr(join(folder, 'cgroup.procs'), '')
    .split('\n')
    .filter((line) => line !== '')
    .map(Number);
}

export function killAll(folders: string[]): void {
  for (const folder of folders) for (const pid of processesIn(folder)) if (pid > 0) kill(pid);
}

export function subfolders(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch {
    return [];
  }
}

/** A group can be removed only when the last of its processes has been collected, a moment after its end. */
export async function removeGroups(kernel: Kernel, folders: string[]): Promise<void> {
  await waitUntil(() => {
    const left = folders.filter((folder) => !kernel.removeFolder(folder));
    if (left.length > 0) killAll(left);
    return left.length === 0;
  }, WAITS.treeGoneMs);
}
