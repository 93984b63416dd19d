import { createWriteStream } from 'node:fs';
import { chmod, mkdtemp, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { runCommand } from '../command.ts';
import { DOWNLOAD_CONNECT_MS, DOWNLOAD_STALL_MS, DOWNLOAD_TOTAL_MS } from '../limits.ts';
import type { Progress } from '../progress.ts';

/** The vendor's own address, the same that its SDKs use. BEACON_TEMPORAL_DOWNLOAD names a mirror, or `off`. */
const VENDOR = 'https://temporal.download/cli/archive';

const platforms: Partial<Record<NodeJS.Platform, string>> = { linux: 'linux', darwin: 'darwin' };
const architectures: Partial<Record<NodeJS.Architecture, string>> = { x64: 'amd64', arm64: 'arm64' };

const UNPACK_MS = 60_000;
const MEGABYTE = 1024 * 1024;

export interface DownloadOptions {
  version: string;
  /** Where the program goes. */
  file: string;
  env: NodeJS.ProcessEnv;
  progress: Progress;
  signal?: AbortSignal | undefined;
}

/** Fetches the official release; fails within seconds where the network does not let it through. */
export async function downloadTemporal(options: DownloadOptions): Promise<void> {
  const { version, file, env, progress, signal } = options;
  const base = env.BEACON_TEMPORAL_DOWNLOAD ?? VENDOR;
  if (base === 'off') throw new Error('switched off by BEACON_TEMPORAL_DOWNLOAD');
  const platform = platforms[process.platform];
  const architecture = architectures[process.arch];
  if (platform === undefined || architecture === undefined)
    throw new Error(`there is none for ${process.platform}-${process.arch}`);
  const url = `${base}/v${version}?platform=${platform}&arch=${architecture}`;
  progress.say(`Temporal: downloading the server ${version} from ${new URL(url).host}`);
  const folder = await mkdtemp(path.join(path.dirname(file), 'download-'));
  try {
    const archive = path.join(folder, 'temporal.tar.gz');
    await fetchTo(url, archive, progress, signal);
    const { code, output } = await runCommand('tar', ['-xzf', archive, '-C', folder, 'temporal'], {
      timeoutMs: UNPACK_MS,
      signal,
    });
    if (code !== 0) throw new Error(`cannot unpack it: ${output.trim().slice(-200)}`);
    await chmod(path.join(folder, 'temporal'), 0o755);
    await rename(path.join(folder, 'temporal'), file);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function fetchTo(url: string, file: string, progress: Progress, signal?: AbortSignal): Promise<void> {
  const stop = new AbortController();
  const because = (reason: string) => () => stop.abort(new Error(reason));
  const abort = because('stopped on request');
  signal?.addEventListener('abort', abort, { once: true });
  const total = setTimeout(because(`not complete after ${DOWNLOAD_TOTAL_MS / 1000} s`), DOWNLOAD_TOTAL_MS);
  let silence = setTimeout(because(`no answer within ${DOWNLOAD_CONNECT_MS / 1000} s`), DOWNLOAD_CONNECT_MS);
  try {
    const answer = await fetch(url, { signal: stop.signal, redirect: 'follow' });
    if (!answer.ok || answer.body === null) throw new Error(`answer ${answer.status}`);
    const size = Number(answer.headers.get('content-length') ?? 0);
    let received = 0;
    const counted = async function* (chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) {
        clearTimeout(silence);
        silence = setTimeout(because(`no data for ${DOWNLOAD_STALL_MS / 1000} s`), DOWNLOAD_STALL_MS);
        received += chunk.length;
        const share = size > 0 ? ` of ${(size / MEGABYTE).toFixed(0)}` : '';
        progress.update(`Temporal: downloaded ${(received / MEGABYTE).toFixed(0)}${share} MB`);
        yield chunk;
      }
    };
    await pipeline(answer.body, counted, createWriteStream(file), { signal: stop.signal });
  } catch (error) {
    throw stop.signal.aborted ? (stop.signal.reason as Error) : deepest(error);
  } finally {
    clearTimeout(total);
    clearTimeout(silence);
    signal?.removeEventListener('abort', abort);
  }
}

/** `fetch` hides the reason (no such host, refused) in its cause. */
const deepest = (error: unknown): unknown =>
  error instanceof Error && error.cause instanceof Error ? deepest(error.cause) : error;
