import { mkdtemp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { once } from 'node:events';
import type { ActivityApi } from 'ya-ts-client';
import { openEgress, type Egress } from './egress.ts';
import type { Gsb } from './gsb.ts';
import type { Images } from './images.ts';
import { manifestUrls } from './outbound.ts';
import type { Provider } from './provider.ts';
import { makeVolumes, outside, runIn, type Sandboxed, type SandboxTerms } from './sandbox.ts';
import { fetchFile, gftpAddress, sendFile } from './transfer.ts';

type Capture = ActivityApi.CaptureDTO;
type CaptureMode = NonNullable<Capture['stdout']>;

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** What runs on the provider for one activity: the image, its volumes, its commands. */
export interface ExeUnit {
  deploy(): Promise<void>;
  run(program: string, args: string[], capture: Capture | undefined, said: Said): Promise<Ran>;
  transfer(from: string, to: string): Promise<void>;
  /** Seconds that commands have taken. */
  busySeconds(): number;
  close(): Promise<void>;
}

export type Said = (stream: 'stdout' | 'stderr', text: string) => void;

export interface ExeUnitParts {
  provider: Provider;
  demand: Record<string, unknown>;
  images: Images;
  gsb: Gsb;
}

export function createExeUnit({ provider, demand, images, gsb }: ExeUnitParts): ExeUnit {
  let terms: SandboxTerms | null = null;
  let egress: Egress | null = null;
  let closed = false;
  let busyMs = 0;
  const running = new Set<Sandboxed>();

  const inside = (): SandboxTerms => {
    if (terms === null) throw new Error('ExeUnit is not deployed');
    return terms;
  };
  const place = (url: string): string => {
    const file = outside(inside(), url.slice('container:'.length));
    if (file === null)
      throw new Error(`Transfer error: IO error: No such file or directory (not on a volume): ${url}`);
    return file;
  };

  async function bring(from: string): Promise<Buffer> {
    const address = gftpAddress(from);
    return address === null ? fetchLoopback(from) : fetchFile(gsb, address);
  }

  async function take(file: string, to: string): Promise<void> {
    const address = gftpAddress(to);
    if (address === null) throw new Error(`Transfer error: unsupported URL ${to}`);
    const bytes = await readFile(file).catch(() => {
      throw new Error(`Transfer error: IO error: No such file or directory: ${path.basename(file)}`);
    });
    const fault = provider.faults.take('download');
    const sent = fault?.do === 'tamper' ? fault.with(bytes, file) : bytes;
    await sendFile(gsb, address, sent, fault?.do === 'bad-hash');
  }

  return {
    async deploy() {
      const image = await images.load(packageOf(demand), bring);
      const folder = await mkdtemp(path.join(os.tmpdir(), 'yagna-activity-'));
      const urls = manifestUrls(demand);
      if (provider.script.egress !== undefined && urls.length > 0)
        egress = await openEgress(provider.script.egress, urls);
      terms = { folder, volumes: image.volumes, without: image.without, proxy: egress?.url ?? null };
      makeVolumes(terms);
      if (closed) await dispose();
    },
    async run(program, args, capture, said) {
      const began = performance.now();
      const sandboxed = runIn(inside(), program, args);
      running.add(sandboxed);
      if (closed) sandboxed.kill();
      try {
        const [stdout, stderr] = [collect('stdout'), collect('stderr')];
        const [code] = (await Promise.race([
          once(sandboxed.child, 'close'),
          once(sandboxed.child, 'error').then(() => [126]),
        ])) as [number | null];
        return {
          code: code ?? 137,
          stdout: cut(await stdout, capture?.stdout),
          stderr: cut(await stderr, capture?.stderr),
        };
      } finally {
        running.delete(sandboxed);
        busyMs += performance.now() - began;
      }

      async function collect(name: 'stdout' | 'stderr'): Promise<Buffer> {
        const chunks: Buffer[] = [];
        sandboxed.child[name]?.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          said(name, chunk.toString('utf8'));
        });
        await once(sandboxed.child, 'close').catch(() => undefined);
        return Buffer.concat(chunks);
      }
    },
    async transfer(from, to) {
      if (to.startsWith('container:')) {
        const file = place(to);
        await mkdir(path.dirname(file), { recursive: true });
        await writeFile(file, await bring(from));
      } else await take(place(from), to);
    },
    busySeconds: () => busyMs / 1000,
    async close() {
      closed = true;
      for (const sandboxed of running) sandboxed.kill();
      await dispose();
    },
  };

  async function dispose(): Promise<void> {
    const [folder, proxy] = [terms?.folder, egress];
    egress = null;
    await proxy?.[Symbol.asyncDispose]();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** The demand's image; with a manifest alone, that one's. */
function packageOf(demand: Record<string, unknown>): unknown {
  return demand['golem.srv.comp.task_package'];
}

/** The emulator goes nowhere but to this machine. */
async function fetchLoopback(url: string): Promise<Buffer> {
  const host = URL.canParse(url) ? new URL(url).hostname : '';
  if (!/^(127\.\d+\.\d+\.\d+|localhost)$/.test(host)) throw new Error(`Transfer error: HTTP error: ${url}`);
  const answer = await fetch(url).catch(() => null);
  if (answer?.ok !== true) throw new Error(`Transfer error: HTTP error: ${answer?.status ?? 'unreachable'}`);
  return Buffer.from(await answer.arrayBuffer());
}

function cut(bytes: Buffer, mode: CaptureMode | undefined): string {
  const part = mode?.atEnd?.part;
  const limit = mode?.stream?.limit;
  if (part?.head !== undefined) return bytes.subarray(0, part.head).toString('utf8');
  if (part?.tail !== undefined) return bytes.subarray(Math.max(0, bytes.length - part.tail)).toString('utf8');
  if (part?.headTail !== undefined && bytes.length > part.headTail) {
    const half = Math.floor(part.headTail / 2);
    return Buffer.concat([bytes.subarray(0, half), bytes.subarray(bytes.length - half)]).toString('utf8');
  }
  return (limit === undefined ? bytes : bytes.subarray(0, limit)).toString('utf8');
}
