import type { Step } from '../backend.ts';
import type { JobFolder } from './job-folder.ts';
import type { JobTerms } from './job-terms.ts';
import type { JobUser } from './job-users.ts';
import type { ProgramStreams } from './streams.ts';

/** What runs, ready on this machine. */
export type Program =
  /** The host's own userland, with the files of a builtin beside it, or nothing. */
  | { kind: 'host'; programFolder: string | null; argv: string[] }
  /** An unpacked image. */
  | {
      kind: 'rootfs';
      rootfs: string;
      argv: string[];
      environment: Record<string, string>;
      workingFolder: string;
    }
  /** An image that the engine holds. */
  | { kind: 'engine'; image: string; argv: string[] | null };

export interface Task {
  name: string;
  program: Program;
  folder: JobFolder;
  /** Null for an ordinary user's worker: its jobs are that user. */
  user: JobUser | null;
  terms: JobTerms;
  /** Of the whole attempt, as told in the receipt. */
  budgetMs: number;
  streams: ProgramStreams;
  /** Aborted when the attempt is cancelled or its budget is used up. */
  stop: AbortSignal;
  record: Step['record'];
}

/** Names of limits in a receipt; a closed set, numbers only (docs/architecture.md). */
export interface EnforcedLimits {
  [name: string]: number | null;
  memory_bytes: number | null;
  cpu_cores: number | null;
  /** Processor time of all the job's processes together; looked at while the program runs. */
  cpu_seconds: number | null;
  pids: number | null;
  open_files: number | null;
  file_bytes: number | null;
  /** All of the output folder, measured while the program runs. */
  folder_bytes: number | null;
  tmp_bytes: number | null;
  stdout_bytes: number | null;
  wall_ms: number | null;
  /** 0 = cut off; null = the program could reach a network. */
  network: number | null;
}

/** Why the backend ended a program that had not ended itself. */
export type Stopped = 'stop' | 'stdout' | 'stderr' | 'folder_bytes' | 'folder_entries' | 'cpu_seconds';

/** The whole process tree is gone when this is told. */
export interface Ended {
  stopped: Stopped | null;
  /** 128 + signal for a killed program; null when it was stopped by us. */
  exitCode: number | null;
  startedAt: string;
  durationMs: number;
  killedForMemory: boolean;
  refusedProcesses: boolean;
  killedForTime: boolean;
  /** Limits that only the running program showed to be other than expected. */
  limits?: Partial<EnforcedLimits>;
}

export interface Isolation {
  kind: 'container' | 'bubblewrap' | 'process';
  limits(task: Task): EnforcedLimits;
  run(task: Task): Promise<Ended>;
}
