import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { WAITS } from '../bounds.ts';
import { keyed, readOr } from '../cgroup/files.ts';
import type { EnforcedLimits } from '../isolation.ts';
import type { JobTerms } from '../job-terms.ts';
import { memberships, mountedAt, SYSTEM, UNIFIED, type Places } from '../cgroup/places.ts';

export interface Counts {
  memory: number;
  pids: number;
  cpuMs: number;
}

/** What the kernel holds a container to: Infinity where it has no such limit, NaN where that cannot be seen. */
export interface Held {
  memoryBytes: number;
  pids: number;
  cpus: number;
  /** Its processor time is counted. */
  time: boolean;
}

/** The control group of one container, as far as this process can see it. Engines tell neither of refused processes. */
export interface ContainerGroup {
  counts(): Counts;
  held: Held;
}

/**
 * Finds the groups of containers by a process of theirs, and by what it learnt from others where that process has ended
 * already. A path counts only when it names the container: what another machine calls this pid is somebody else.
 */
export class ContainerGroups {
  readonly #places: Places;
  /** Paths by controller, with a place for the container's id. */
  #learnt: Map<string, string> | null = null;

  constructor(places: Places = SYSTEM) {
    this.#places = places;
  }

  find(id: string, pid: number): ContainerGroup | null {
    const seen = new Map<string, string>();
    for (const [controller, path] of memberships(this.#places, pid)) {
      const whole = new RegExp(`^.*?${id}[^/]*`).exec(path)?.[0];
      if (whole !== undefined) seen.set(controller, whole);
    }
    if (seen.size > 0)
      this.#learnt = new Map([...seen].map(([controller, path]) => [controller, path.replaceAll(id, ID)]));
    const paths = this.#learnt;
    if (paths === null) return null;
    const mounts = mountedAt(this.#places);
    const folder = (controller: string): string => {
      const name = paths.has(controller) && mounts.has(controller) ? controller : UNIFIED;
      return join(mounts.get(name) ?? '/nowhere', (paths.get(name) ?? '/nowhere').replaceAll(ID, id));
    };
    const group = { counts: () => counts(folder), held: held(folder) };
    return Number.isNaN(group.held.pids) ? null : group;
  }
}

const ID = '<id>';

function counts(folder: (controller: string) => string): Counts {
  const usage = Number(readOr(join(folder('cpuacct'), 'cpuacct.usage'), 'NaN')) / 1e6;
  return {
    memory:
      keyed(join(folder('memory'), 'memory.oom_control'), 'oom_kill') +
      keyed(join(folder('memory'), 'memory.events'), 'oom_kill'),
    pids: keyed(join(folder('pids'), 'pids.events'), 'max'),
    cpuMs: Number.isNaN(usage) ? keyed(join(folder('cpuacct'), 'cpu.stat'), 'usage_usec') / 1e3 : usage,
  };
}

function held(folder: (controller: string) => string): Held {
  const value = (controller: string, file: string): number => {
    const text = readOr(join(folder(controller), file), '').trim();
    if (text === '') return NaN;
    return text === 'max' || text === '-1' ? Infinity : Number(text);
  };
  const [quota, period] = readOr(join(folder('cpu'), 'cpu.max'), '')
    .trim()
    .split(' ');
  const usage = [join(folder('cpuacct'), 'cpuacct.usage'), join(folder('cpuacct'), 'cpu.stat')];
  const memory = value('memory', 'memory.limit_in_bytes');
  return {
    memoryBytes: Number.isNaN(memory) ? value('memory', 'memory.max') : memory,
    pids: value('pids', 'pids.max'),
    cpus:
      period === undefined
        ? value('cpu', 'cpu.cfs_quota_us') / value('cpu', 'cpu.cfs_period_us')
        : (quota === 'max' ? Infinity : Number(quota)) / Number(period),
    time: usage.some((path) => existsSync(path)),
  };
}

/** An engine that promised a limit and did not set it is not believed; a hundredth is rounding. */
export function confirmed(
  held: Held,
  terms: Pick<JobTerms, 'memoryBytes' | 'cpus' | 'pids' | 'cpuSeconds'>,
): Partial<EnforcedLimits> {
  const exceeds = (value: number, asked: number): boolean => value > asked * 1.01;
  return {
    ...(exceeds(held.memoryBytes, terms.memoryBytes) && { memory_bytes: null }),
    ...(exceeds(held.cpus, terms.cpus) && { cpu_cores: null }),
    ...(exceeds(held.pids, terms.pids) && { pids: null }),
    cpu_seconds: held.time ? terms.cpuSeconds : null,
  };
}

/** Keeps the last counts of a group, which some engines take away with the container's end. */
export function watchGroup(group: ContainerGroup | null): Disposable & { look(): Counts } {
  const last: Counts = { memory: 0, pids: 0, cpuMs: 0 };
  const look = (): Counts => {
    const now = group?.counts() ?? last;
    for (const name of ['memory', 'pids', 'cpuMs'] as const) last[name] = Math.max(last[name], now[name]);
    return last;
  };
  const timer = setInterval(look, WAITS.groupLookMs);
  return { look, [Symbol.dispose]: () => clearInterval(timer) };
}
