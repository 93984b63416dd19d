/** Control groups of either version, as far as jobs need them. What cannot be enforced here is not in `enforces`. */
export type Controlled = 'memory' | 'pids' | 'cpu';

export interface GroupLimits {
  memoryBytes?: number;
  pids?: number;
  cpus?: number;
}

export interface JobGroup {
  /** Files into which a process writes `0` to join. */
  joinFiles: string[];
  processes(): number[];
  /** How often the kernel stepped in; for `memory_limit` and `pids_limit`. */
  interventions(): { memory: number; pids: number; cpu: number };
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
