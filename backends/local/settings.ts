import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { cpus, hostname, totalmem } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { Region } from '../../domain/jobspec/region.ts';
import { BOUNDS } from './bounds.ts';

export type IsolationPreference = 'auto' | 'container' | 'bubblewrap' | 'process';

export interface LocalSettings {
  /** Holds job folders, unpacked images, programs. As root every parent must be passable (o+x) for the jobs' users. */
  stateFolder: string;
  /** `auto`: an engine for images, bubblewrap without one and for builtins, a bare process only for listed builtins. */
  isolation: IsolationPreference;
  /** Unix sockets of Docker-compatible engines, tried in this order. */
  engineSockets: string[];
  /** Where `builtin:<name>` is looked up: one folder per program. */
  programsFolder: string;
  /** Folders beneath which `oci:<path>` may name a layout; empty = no layouts. */
  imageFolders: string[];
  /** What this machine claims as its region; null claims none. */
  region: Region | null;
  provider: string;
  /** `sha256:…` of the programs that may run as a bare process. */
  processDigests: string[];
  /** Registry images for which, without an engine, the host's own userland may stand in (bubblewrap only). */
  hostUserlandImages: string[];
  /** What a job gets that asks for nothing, and the most that any job gets. */
  memoryBytes: number;
  maxMemoryBytes: number;
  cpus: number;
  maxCpus: number;
  /** Processor time of one attempt, all its processes together; null = no bound but its cores and its time. */
  cpuSeconds: number | null;
  pids: number;
  /** As root each job runs as a user of its own out of this range. */
  users: { first: number; count: number };
}

/** Fills in what was not said. Only `stateFolder` has no default. */
export function localSettings(
  given: Partial<LocalSettings> & Pick<LocalSettings, 'stateFolder'>,
): LocalSettings {
  const maxMemoryBytes =
    given.maxMemoryBytes ?? Math.max(BOUNDS.defaultMemoryBytes, Math.floor(totalmem() / 2));
  const maxCpus = given.maxCpus ?? cpus().length;
  return {
    isolation: 'auto',
    engineSockets: defaultEngineSockets({}),
    programsFolder: shippedProgramsFolder(),
    imageFolders: [],
    region: null,
    provider: `local/${hostname()}`,
    processDigests: [],
    hostUserlandImages: [],
    cpuSeconds: null,
    pids: BOUNDS.defaultPids,
    users: defaultUsers(),
    ...given,
    stateFolder: resolve(given.stateFolder),
    maxMemoryBytes,
    memoryBytes: Math.min(given.memoryBytes ?? BOUNDS.defaultMemoryBytes, maxMemoryBytes),
    maxCpus,
    cpus: Math.min(given.cpus ?? BOUNDS.defaultCpus, maxCpus),
  };
}

/** The variables that say where engines listen; who reads the environment hands them over. */
export interface EngineVariables {
  BEACON_DOCKER_SOCKET?: string | null | undefined;
  DOCKER_HOST?: string | null | undefined;
  XDG_RUNTIME_DIR?: string | null | undefined;
}

/** BEACON_DOCKER_SOCKET, DOCKER_HOST (unix only), then where Docker and Podman listen, rootful and rootless. */
export function defaultEngineSockets(variables: EngineVariables): string[] {
  const runtime = variables.XDG_RUNTIME_DIR ?? `/run/user/${process.getuid?.() ?? 0}`;
  const named = [variables.BEACON_DOCKER_SOCKET, variables.DOCKER_HOST]
    .map((value) => (value ?? '').replace(/^unix:\/\//, ''))
    .filter((value) => value.startsWith('/'));
  return [
    ...new Set([
      ...named,
      '/var/run/docker.sock',
      '/run/podman/podman.sock',
      `${runtime}/docker.sock`,
      `${runtime}/podman/podman.sock`,
    ]),
  ];
}

/** `examples/programs` of this package, from the sources as well as from `dist`. */
export function shippedProgramsFolder(): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, 'examples', 'programs'))) {
    const parent = dirname(folder);
    if (parent === folder) return resolve('examples', 'programs');
    folder = parent;
  }
  return join(folder, 'examples', 'programs');
}

/** User ids that nobody else hands out (systemd lists the range as unused), or the last ones of a narrow container. */
function defaultUsers(): LocalSettings['users'] {
  const wanted = { first: 1_900_000_000, count: 65_536 };
  let highest: number;
  try {
    highest = Math.max(
      ...readFileSync('/proc/self/uid_map', 'utf8')
        .trim()
        .split('\n')
        .map((line) => line.trim().split(/\s+/).map(Number))
        .map(([inside = 0, , length = 0]) => inside + length),
    );
  } catch {
    return wanted;
  }
  return highest >= wanted.first + wanted.count
    ? wanted
    : { first: Math.max(2_000, highest - 4_096), count: 2_048 };
}

/** Short name of this state folder: keeps two installations on one machine from reaping each other's jobs. */
export function stateId(settings: LocalSettings): string {
  return createHash('sha256').update(settings.stateFolder).digest('hex').slice(0, 12);
}
