import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readlinkSync } from 'node:fs';
import path from 'node:path';

/** What runs a provider's commands: bubblewrap where it is there, otherwise a plain child process in the activity's folder. */
export interface SandboxTerms {
  /** The activity's own folder; its volumes lie in it. */
  folder: string;
  /** Absolute paths inside, as an image's VOLUME names them. */
  volumes: string[];
  /** Programs that the image does not have. */
  without: string[];
  /** Where requests go out, as `http://127.0.0.1:port`; null is no network. */
  proxy: string | null;
}

const BWRAP = ['/usr/bin/bwrap', '/usr/local/bin/bwrap'].find((file) => existsSync(file)) ?? null;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface Sandboxed {
  child: ChildProcess;
  kill(): void;
}

/** Where a path inside of the container lies outside; null when it is in no volume. */
export function outside(terms: SandboxTerms, inside: string): string | null {
  const normal = path.posix.normalize(inside);
  const index = terms.volumes.findIndex((volume) => normal === volume || normal.startsWith(`${volume}/`));
  if (index === -1) return null;
  return path.join(volumeFolder(terms, index), normal.slice(terms.volumes[index]!.length));
}

const volumeFolder = (terms: SandboxTerms, index: number) => path.join(terms.folder, `volume-${index}`);

export function makeVolumes(terms: SandboxTerms): void {
  terms.volumes.forEach((_, index) => mkdirSync(volumeFolder(terms, index), { recursive: true }));
}

export function runIn(terms: SandboxTerms, program: string, args: string[]): Sandboxed {
  const words = BWRAP === null ? bare(terms, [program, ...args]) : confined(BWRAP, terms, [program, ...args]);
  const child = spawn(words[0]!, words.slice(1), {
    cwd: terms.folder,
    env: environment(terms),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  return {
    child,
    kill() {
      if (child.pid === undefined || child.exitCode !== null) return;
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        child.kill('SIGKILL');
      }
    },
  };
}

function environment({ proxy }: SandboxTerms): Record<string, string> {
  const all: Record<string, string> = { PATH, HOME: '/tmp', LANG: 'C.UTF-8' };
  return proxy === null ? all : { ...all, http_proxy: proxy, https_proxy: proxy };
}

/** Without bubblewrap the volumes' paths are put for what they stand for, in the words only. */
function bare(terms: SandboxTerms, words: string[]): string[] {
  return words.map((word) =>
    terms.volumes.reduce((text, volume, index) => text.replaceAll(volume, volumeFolder(terms, index)), word),
  );
}

function confined(bwrap: string, terms: SandboxTerms, words: string[]): string[] {
  return [
    bwrap,
    ...['--unshare-user', '--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'],
    ...(terms.proxy === null ? ['--unshare-net'] : []),
    ...['--die-with-parent', '--uid', '0', '--gid', '0', '--hostname', 'provider'],
    ...userland(),
    ...terms.without.flatMap((name) => missing(name)),
    ...['--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp'],
    ...terms.volumes.flatMap((volume, index) => ['--bind', volumeFolder(terms, index), volume]),
    ...['--chdir', '/', '--'],
    ...words,
  ];
}

/** The image's programs are those of this machine, read-only. */
function userland(): string[] {
  const argv = ['--ro-bind', '/usr', '/usr', '--ro-bind-try', '/etc/alternatives', '/etc/alternatives'];
  for (const folder of ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32']) {
    if (!existsSync(folder)) continue;
    if (lstatSync(folder).isSymbolicLink()) argv.push('--symlink', readlinkSync(folder), folder);
    else argv.push('--ro-bind', folder, folder);
  }
  return argv;
}

/** A device is no program: looking the name up finds nothing. */
function missing(name: string): string[] {
  const files = ['/usr/bin', '/usr/sbin', '/usr/local/bin'].map((folder) => path.join(folder, name));
  return files.filter((file) => existsSync(file)).flatMap((file) => ['--ro-bind', '/dev/null', file]);
}
