/**
 * Control groups of either version, as far as jobs need them. What cannot be enforced here is not in `enforces`.
 * `time` is no limit of the kernel's: processor time is counted, and whoever looks enforces it.
 */
export type Controlled = 'memory' | 'pids' | 'cpu' | 'time';

export interface GroupLimits {
  memoryBytes?: number;
  pids?: number;
  cpus?: number;
  /** Null or absent: processor time need not be counted. */
  cpuSeconds?: number | null;
}

export interface JobGroup {
  /** Files into which a process writes `0` to join. */
  joinFiles: string[];
  processes(): number[];
  /** How often the kernel stepped in; for `memory_limit` and `pids_limit`. */
  interventions(): { memory: number; pids: number; cpu: number };
  /** Processor time that all its processes have used, those that have ended too; 0 where it is not counted. */
  cpuMs(): number;
  kill(): void;
  /** Resolves when the group is gone; its processes must have ended. */
  remove(): Promise<void>;
}

export interface ControlGroups {
  version: 1 | 2;
  enforces: ReadonlySet<Controlled>;
  create(name: string, limits: GroupLimits): JobGroup;
  /** A group that an earlier life left behind. */
  open(name: string): JobGroup;
  names(): string[];
}

export const CPU_PERIOD_US = 100_000;

/** The quota of one period, in microseconds; the kernel takes no less than a millisecond. */
export function cpuQuotaUs(cpus: number): number {
  return Math.max(1_000, Math.round(cpus * CPU_PERIOD_US));
}
