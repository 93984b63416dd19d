/**
 * What a provider sent back as the result of a program. Nothing in it is trusted: names, kinds and sizes are checked before
 * anything is written, and then the same rules as everywhere collect the outputs.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { extract, type Headers } from 'tar-stream';
import type { Step } from '../backend.ts';
import { LIMITS, MIB } from '../../domain/limits.ts';
import { LogLines, lineClock } from '../local/log-lines.ts';
import { collectOutputs, type Collected } from '../local/outputs/collect.ts';
import { Refusal } from '../refusal.ts';
import { ProviderFault } from './provider-fault.ts';

const STREAM_BYTES = { stdout: LIMITS.outputBytes, stderr: 16 * MIB, exit: 64 } as const;
/** Folders and files that are looked at before it is too much. */
const ENTRIES = 4_096;

export interface Result {
  /** Null: it cannot be read. */
  exitCode: number | null;
  stdout: Uint8Array;
  stderr: Uint8Array;
  /** A stream was larger than what is kept of it. */
  cut: 'stdout' | 'stderr' | null;
  /** Where the files lie. */
  folder: string;
}

/** Lays a tar of `exit`, `stdout`, `stderr` and `out/…` in `folder`. */
export async function unpackResult(file: string, folder: string): Promise<Result> {
  const streams: Record<'exit' | 'stdout' | 'stderr', Uint8Array> = {
    exit: new Uint8Array(),
    stdout: new Uint8Array(),
    stderr: new Uint8Array(),
  };
  const out = join(folder, 'out');
  await mkdir(out);
  let cut: Result['cut'] = null;
  let entries = 0;
  let bytes = 0;
  const tar = extract();
  const entry = async (header: Headers, content: NodeJS.ReadableStream): Promise<void> => {
    if (++entries > ENTRIES) throw new Refusal('files_too_many', `more than ${ENTRIES} entries came back`);
    const name = header.name.replace(/^\.\//, '').replace(/\/+$/, '');
    if (name === 'exit' || name === 'stdout' || name === 'stderr') {
      if (header.type !== 'file') throw refused(header);
      const kept = await readBounded(content, STREAM_BYTES[name]);
      streams[name] = kept.bytes;
      if (kept.cut && name !== 'exit') cut ??= name;
      return;
    }
    if (name === 'out' && header.type === 'directory') return;
    const path = beneath(out, name);
    switch (header.type) {
      case 'directory':
        await mkdir(path, { recursive: true });
        return;
      case 'file':
        bytes += header.size ?? 0;
        if (bytes > LIMITS.filesBytes)
          throw new Refusal(
            'file_too_large',
            `the output files are larger than ${LIMITS.filesBytes} bytes together`,
          );
        await mkdir(dirname(path), { recursive: true });
        await pipeline(content, createWriteStream(path, { flags: 'wx', mode: 0o600 }));
        return;
      default:
        throw refused(header);
    }
  };
  tar.on('entry', (header, content, next) => {
    entry(header, content).then(
      () => {
        content.resume();
        next();
      },
      (error: unknown) => tar.destroy(error as Error),
    );
  });
  try {
    await pipeline(createReadStream(file), tar);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new ProviderFault('provider_lost', 'what the provider sent back is no result of this program', {
      cause: error,
    });
  }
  const exit = /^(\d{1,3})\s*$/.exec(Buffer.from(streams.exit).toString('latin1'))?.[1];
  return {
    exitCode: exit === undefined ? null : Number(exit),
    stdout: streams.stdout,
    stderr: streams.stderr,
    cut,
    folder: out,
  };
}

function refused({ name, type }: Headers): Refusal {
  const link = type === 'link' || type === 'symlink';
  return new Refusal(
    link ? 'file_link_refused' : 'file_special_refused',
    `the output ${name} is ${link ? 'a link' : 'no regular file'}`,
  );
}

/** `out/…` below the folder; a name that leads elsewhere is refused. */
function beneath(out: string, name: string): string {
  const parts = name.split('/');
  const plain = parts[0] === 'out' && parts.length > 1;
  if (!plain || parts.some((part) => part === '' || part === '.' || part === '..' || part.includes('\0')))
    throw new Refusal(
      'file_name_refused',
      `the output ${JSON.stringify(name.slice(0, 128))} has a name that is not taken`,
    );
  return join(out, ...parts.slice(1));
}

async function readBounded(
  content: NodeJS.ReadableStream,
  limit: number,
): Promise<{ bytes: Uint8Array; cut: boolean }> {
  const parts: Buffer[] = [];
  let size = 0;
  let cut = false;
  for await (const part of content as AsyncIterable<Buffer>) {
    const room = limit - size;
    if (part.length > room) cut = true;
    parts.push(part.subarray(0, room));
    size += Math.min(part.length, room);
  }
  return { bytes: Buffer.concat(parts), cut };
}

/** Both streams as log lines, in the order of the streams: when what was written is not known. */
export function logStreams(result: Pick<Result, 'stdout' | 'stderr'>, log: Step['log']): void {
  const timeUs = lineClock();
  for (const source of ['stdout', 'stderr'] as const) {
    const lines = new LogLines((line) => log({ timeUs: timeUs(), source, line }));
    lines.push(result[source]);
    lines.end();
  }
}

export async function collectResult(result: Result, store: Step['store']): Promise<Collected> {
  return collectOutputs(result.folder, result.stdout, store);
}
