/**
 * Files to and from providers, over the daemon's WebSocket. In the SDK's own storage a provider that sends something
 * unexpected ends the process, a received file has no bound, and its hash is not looked at.
 */
import { createHash, randomUUID } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { encode, toObject } from 'flatbuffers/js/flexbuffers.js';
import { WebSocket } from 'ws';
import { z } from 'zod';
import type { Golem } from './sdk.ts';
import type { Yagna } from './hardened-yagna.ts';

export type Storage = Golem.StorageProvider & {
  /** How a file that `receiveFile` was asked for came in; resolves with its size, rejects when it did not come whole. */
  received(path: string): Promise<number>;
};

const OPEN_MS = 10_000;
const request = z.object({ id: z.unknown(), component: z.string(), payload: z.unknown().optional() });
const chunkAsked = z.object({ offset: z.coerce.number().int().min(0), size: z.coerce.number().int().min(0) });
const chunkSent = z.object({
  chunk: z.object({ offset: z.coerce.number().int().min(0), content: z.instanceof(Uint8Array) }),
});
const finished = z.object({ hash: z.string().nullish() });

export interface StorageOptions {
  yagnaUrl: string;
  apiKey: string;
  /** The daemon's own. */
  identity: string;
  /** Of one received file. */
  maxBytes: number;
}

/** What came is no file that could be taken: asking again would bring the same. */
export class FileRefused extends Error {
  override name = 'FileRefused';
}

type Answer = (component: string, payload: unknown) => Promise<unknown>;

export function createStorage(
  yagna: Yagna,
  { yagnaUrl, apiKey, identity, maxBytes }: StorageOptions,
): Storage {
  const served = new Map<string, { service: string; socket: WebSocket }>();
  const incoming = new Map<string, Incoming>();
  let ready = false;

  async function serve(components: string[], answer: Answer): Promise<string> {
    const name = randomUUID();
    const bound = (await yagna.gsb.bindServices({ listen: { on: `/public/gftp/${name}`, components } })) as {
      servicesId?: unknown;
    };
    const service = z.string().parse(bound.servicesId);
    const address = new URL(`/gsb-api/v1/services/${service}?authToken=${apiKey}`, yagnaUrl);
    address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(address, ['gsb+flexbuffers'], { handshakeTimeout: OPEN_MS });
    socket.binaryType = 'arraybuffer';
    const url = `gftp://${identity}/${name}`;
    served.set(url, { service, socket });
    // One request at a time: chunks are written in the order in which they came.
    let turn = Promise.resolve();
    socket.on('message', (data) => {
      turn = turn.then(() => answerOne(socket, data as ArrayBuffer, answer)).catch(() => socket.terminate());
    });
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    socket.on('error', () => undefined);
    return url;
  }

  async function release(urls: string[]): Promise<void> {
    await Promise.allSettled(
      urls.map(async (url) => {
        const found = served.get(url);
        served.delete(url);
        found?.socket.terminate();
        if (found !== undefined) await yagna.gsb.unbindServices(found.service);
      }),
    );
  }

  const storage: Storage = {
    init: async () => void (ready = true),
    isReady: () => ready,
    async close() {
      ready = false;
      await release([...served.keys()]);
    },
    publishData: (data) =>
      serve(['GetMetadata', 'GetChunk'], async (component, payload) => publish(data, component, payload)),
    async receiveFile(path) {
      const file = new Incoming(await open(path, 'w'), maxBytes);
      incoming.set(path, file);
      return serve(['UploadChunk', 'UploadFinished'], (component, payload) => file.take(component, payload));
    },
    async received(path) {
      const file = incoming.get(path);
      incoming.delete(path);
      if (file === undefined) throw new Error('nothing was asked for');
      return file.close();
    },
    release,
    publishFile: () => Promise.reject(new Error('files are published as data')),
    receiveData: () => Promise.reject(new Error('data is received as a file')),
  };
  return storage;
}

async function answerOne(socket: WebSocket, data: ArrayBuffer, answer: Answer): Promise<void> {
  const { id, component, payload } = request.parse(toObject(data));
  socket.send(encode({ id, payload: await answer(component, payload) }));
}

function publish(data: Uint8Array, component: string, payload: unknown): unknown {
  if (component === 'GetMetadata') return { fileSize: data.byteLength };
  if (component !== 'GetChunk') throw new Error(`unexpected ${component}`);
  const { offset, size } = chunkAsked.parse(payload);
  // A copy: FlexBuffers writes the whole memory behind a view.
  return { content: Uint8Array.from(data.subarray(offset, offset + size)), offset };
}

/** One file on its way in, in order, within its bound, with its hash. */
class Incoming {
  readonly #file: FileHandle;
  readonly #maxBytes: number;
  readonly #hash = createHash('sha3-256');
  #size = 0;
  #whole = false;
  #wrong: string | undefined;

  constructor(file: FileHandle, maxBytes: number) {
    this.#file = file;
    this.#maxBytes = maxBytes;
  }

  async take(component: string, payload: unknown): Promise<null> {
    if (component === 'UploadChunk') await this.#chunk(chunkSent.parse(payload).chunk);
    else if (component === 'UploadFinished') this.#finish(finished.parse(payload).hash ?? undefined);
    else throw new Error(`unexpected ${component}`);
    return null;
  }

  async #chunk({ offset, content }: { offset: number; content: Uint8Array }): Promise<void> {
    if (offset !== this.#size) throw this.#refuse('a part of it came out of order');
    if (this.#size + content.length > this.#maxBytes)
      throw this.#refuse(`it is larger than ${this.#maxBytes} bytes`);
    await this.#file.write(content, 0, content.length, this.#size);
    this.#hash.update(content);
    this.#size += content.length;
  }

  #finish(hash: string | undefined): void {
    if (this.#whole) throw this.#refuse('it was ended twice');
    const own = this.#hash.digest('hex');
    if (hash !== undefined && hash !== own) throw this.#refuse('its hash is not that of its bytes');
    this.#whole = true;
  }

  #refuse(why: string): Error {
    this.#wrong ??= why;
    return new Error(why);
  }

  async close(): Promise<number> {
    await this.#file.close();
    if (this.#wrong !== undefined) throw new FileRefused(`the file was not received: ${this.#wrong}`);
    if (!this.#whole) throw new Error('the file was not received whole');
    return this.#size;
  }
}
