/**
 * Kubo's RPC (POST only). A tree goes there as a CAR, so that its settings of chunking cannot give another CID; then its
 * pin and the root that it read are compared, and it is told to announce.
 */
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { call, parsed } from './call.ts';
import { PublishError, type Facts, type PublishTarget, type Tree } from './target.ts';

export interface KuboOptions {
  name: string;
  /** `http://127.0.0.1:5001`. */
  url: string;
  /** `Authorization` header, where the RPC asks for one. */
  authorization?: string | undefined;
}

export interface Kubo extends PublishTarget {
  /** Imports and pins; throws unless the root that Kubo read is `cid`. */
  importCar(cid: string, car: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void>;
  version(signal: AbortSignal): Promise<string>;
  /** Where other nodes reach it; none while it is offline. */
  addresses(signal: AbortSignal): Promise<string[]>;
}

/** A CAR of a job goes through at a disk's speed; this is for a slow one. */
const IMPORT_MS = 10 * 60_000;
const PROVIDE_MS = 2 * 60_000;
const QUICK_MS = 15_000;
/** What Kubo answers to `provide` when it runs with `--offline` or without routing. */
const OFFLINE = /offline|online mode|routing system|no providers?|cannot provide/i;

const NOT_PINNED = /not pinned/i;

const link = z.object({ '/': z.string() });
const imported = z.object({ Root: z.object({ Cid: link, PinErrorMsg: z.string().optional() }).optional() });
const problem = z.object({ Message: z.string() });
const versionAnswer = z.object({ Version: z.string() });
const idAnswer = z.object({ Addresses: z.array(z.string()).nullish() });

export function createKubo({ name, url, authorization }: KuboOptions): Kubo {
  const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
  const rpc = async (
    path: string,
    signal: AbortSignal,
    timeoutMs = QUICK_MS,
    init: RequestInit = {},
  ): Promise<string> => {
    const { status, text } = await call(
      new URL(`api/v0/${path}`, url.endsWith('/') ? url : `${url}/`),
      { method: 'POST', ...init, headers: { ...headers, ...(init.headers as Record<string, string>) } },
      { timeoutMs, signal, serverErrorsAreRefusals: true },
    );
    if (status === 200) return text;
    const told = problem.safeParse(parsed(text));
    throw new PublishError('refused', `Kubo answered ${status}: ${told.data?.Message ?? text.slice(0, 200)}`);
  };

  const kubo: Kubo = {
    name,
    kind: 'kubo',
    async importCar(cid, car, signal) {
      // What cannot be read here is no fault of the place; fetch would tell it as one.
      let ours: { error: unknown } | undefined;
      async function* watched(): AsyncGenerator<Uint8Array> {
        try {
          yield* car;
        } catch (error) {
          ours = { error };
          throw error;
        }
      }
      const boundary = `beacon-${randomBytes(16).toString('hex')}`;
      const body = Readable.toWeb(Readable.from(multipart(boundary, watched()), { objectMode: false }));
      const text = await rpc('dag/import?pin-roots=true&stats=true', signal, IMPORT_MS, {
        headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
        body: body as RequestInit['body'],
        duplex: 'half',
      } as RequestInit).catch((error: unknown) => {
        throw ours === undefined ? error : ours.error;
      });
      const roots = text
        .split('\n')
        .filter((line) => line !== '')
        .flatMap((line) => imported.parse(parsed(line)).Root ?? []);
      const [root] = roots;
      if (roots.length !== 1 || root?.Cid['/'] !== cid)
        throw new PublishError('refused', `Kubo read the root ${root?.Cid['/'] ?? 'none'} instead of ${cid}`);
      if (root.PinErrorMsg !== undefined && root.PinErrorMsg !== '')
        throw new PublishError('refused', `Kubo did not pin ${cid}: ${root.PinErrorMsg}`);
    },
    async remove(cid, signal) {
      await rpc(`pin/rm?arg=${cid}`, signal).catch((error: unknown) => {
        if (!(error instanceof PublishError && NOT_PINNED.test(error.message))) throw error;
      });
    },
    async version(signal) {
      return versionAnswer.parse(parsed(await rpc('version', signal))).Version;
    },
    async addresses(signal) {
      return idAnswer.parse(parsed(await rpc('id', signal))).Addresses ?? [];
    },
    async publish(tree: Tree, signal): Promise<Facts> {
      if (!tree.known.pinned) await kubo.importCar(tree.cid, await tree.car(), signal);
      const held = { stored: true, pinned: true };
      try {
        await rpc(`routing/provide?arg=${tree.cid}&recursive=true`, signal, PROVIDE_MS);
        return { ...held, announced: true };
      } catch (error) {
        if (!(error instanceof PublishError)) throw error;
        const note = OFFLINE.test(error.message) ? `offline: ${error.message}` : error.message;
        return { ...held, announced: false, note };
      }
    },
  };
  return kubo;
}

async function* multipart(boundary: string, car: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield Buffer.from(
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="tree.car"\r\nContent-Type: application/vnd.ipld.car\r\n\r\n`,
  );
  yield* car;
  yield Buffer.from(`\r\n--${boundary}--\r\n`);
}
