import { KIB, LIMITS, MIB } from '../../domain/limits.ts';

/** Every bound and wait of the local backend, each with the reason for its number. */
export const BOUNDS = {
  /** Kept of stdout; more is `output_too_large` at once, so that a babbling program costs little. */
  stdoutBytes: LIMITS.outputBytes,
  /** stderr is only log: generous, but not a way to keep the worker busy for ever. */
  stderrBytes: 16 * MIB,
  /** One file, by RLIMIT_FSIZE. */
  fileBytes: LIMITS.filesBytes,
  /** The whole output folder. */
  folderBytes: LIMITS.filesBytes,
  /** Entries the folder may hold while the program runs; far above what may be handed in, well below what hurts a disk. */
  folderEntries: 2_048,
  /** Size of /tmp inside the sandbox; counts as the job's memory where that is enforced. */
  tmpBytes: 64 * MIB,
  /** Interpreters and their libraries open some hundred files. */
  openFiles: 1_024,
  defaultPids: 128,
  defaultMemoryBytes: 512 * MIB,
  defaultCpus: 1,
  /** Below this a container engine cannot start anything. */
  minMemoryBytes: 16 * MIB,
  minCpus: 0.01,
  /** Environment and command of one job; both become arguments of one exec. */
  environmentBytes: 64 * KIB,
  commandBytes: 64 * KIB,
  programFiles: 64,
  programBytes: 4 * MIB,
  /** An unpacked image: above this a disk would fill, below it real images fail. */
  imageBytes: 8 * 1024 * MIB,
  imageEntries: 500_000,
  /** Manifests and configurations of images. */
  imageDocumentBytes: 4 * MIB,
} as const;

export const WAITS = {
  /** The output folder is measured this often while the program runs. */
  folderWatchMs: 500,
  /** A killed tree is normally gone within a millisecond; what takes longer hangs in the kernel. */
  treeGoneMs: 10_000,
  /** Used processor time is looked at this often where it is bounded. */
  timeWatchMs: 200,
  /** A container's control group is read this often: some engines remove it the moment the program ends. */
  groupLookMs: 100,
  /** After the tree is gone its pipes can hold only what they had buffered. */
  pipesDrainedMs: 2_000,
  /** First and longest pause between looks at something that is about to change. */
  pollFirstMs: 2,
  pollLongestMs: 50,
  /** A probe runs a handful of tiny programs. */
  probeMs: 10_000,
  /** How long a missing sandbox or engine is remembered before it is looked for again. */
  missingRememberedMs: 30_000,
  /** One call to the engine that should answer at once. */
  engineCallMs: 15_000,
  /** A running container is looked at this often, although its streams tell its end first. */
  containerLookMs: 1_000,
  /** An engine that restarts is back within this; its containers run on meanwhile. */
  engineAwayMs: 20_000,
} as const;
