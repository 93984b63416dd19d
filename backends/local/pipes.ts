import { execFile } from 'node:child_process';
import { closeSync, constants, openSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { waitUntil } from './wait-until.ts';
import { WAITS } from './bounds.ts';

const run = promisify(execFile);

export interface StreamPipes {
  /** File descriptors for the child's stdout and stderr; closed by `started`. */
  stdout: number;
  stderr: number;
  /** The child holds its own copies now. */
  started(): void;
  /** Resolves when every writer has closed; after the tree is gone that is at once, or never. */
  drained(): Promise<void>;
}

/**
 * Real pipes, because Node's own are sockets and `echo x > /dev/stderr` fails on a socket. Named only for the moment
 * between making and opening them.
 */
export async function openPipes(
  folder: string,
  onData: (source: 'stdout' | 'stderr', chunk: Buffer) => void,
): Promise<StreamPipes> {
  const paths = { stdout: join(folder, 'stdout'), stderr: join(folder, 'stderr') };
  await run('mkfifo', ['-m', '622', paths.stdout, paths.stderr]);
  const writers: number[] = [];
  const readers = (['stdout', 'stderr'] as const).map((source) => {
    const reader = new Socket({
      fd: openSync(paths[source], constants.O_RDONLY | constants.O_NONBLOCK),
      readable: true,
      writable: false,
    });
    writers.push(openSync(paths[source], constants.O_WRONLY));
    reader.on('data', (chunk: Buffer) => onData(source, chunk));
    reader.on('error', () => reader.destroy());
    return reader;
  });
  await Promise.all([rm(paths.stdout), rm(paths.stderr)]);
  const [stdout, stderr] = writers as [number, number];
  let open = true;
  const started = (): void => {
    if (open) writers.forEach((fd) => closeSync(fd));
    open = false;
  };
  return {
    stdout,
    stderr,
    started,
    async drained() {
      started();
      await waitUntil(
        () => readers.every((reader) => reader.closed || reader.readableEnded),
        WAITS.pipesDrainedMs,
      );
      readers.forEach((reader) => reader.destroy());
    },
  };
}

/** Octal flag of /proc/self/fdinfo. */
const CLOSE_ON_EXEC = 0o2000000;
let inherited: number[] | undefined;

/**
 * Descriptors that this process got from its own parent and that would leak into every job: Node marks its own as
 * close-on-exec, so whatever is not marked came from outside.
 */
export function leakingDescriptors(): number[] {
  inherited ??= readDescriptors();
  return inherited;
}

function readDescriptors(): number[] {
  const leaking: number[] = [];
  let names: string[];
  try {
    names = readdirSync('/proc/self/fd');
  } catch {
    return [];
  }
  for (const name of names) {
    const fd = Number(name);
    if (fd <= 2) continue;
    try {
      const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${name}`, 'utf8'))?.[1];
      if (flags !== undefined && (parseInt(flags, 8) & CLOSE_ON_EXEC) === 0) leaking.push(fd);
    } catch {
      // closed since the folder was read
    }
  }
  return leaking;
}

/** A `stdio` array that gives the child exactly `wanted`, and /dev/null in place of every leaking descriptor. */
export function closedStdio(
  wanted: (number | 'ignore' | 'pipe')[],
  nullDevice: number,
): (number | 'ignore' | 'pipe')[] {
  const stdio = [...wanted];
  for (const fd of leakingDescriptors()) {
    while (stdio.length <= fd) stdio.push('ignore');
    if (fd >= wanted.length) stdio[fd] = nullDevice;
  }
  return stdio;
}
