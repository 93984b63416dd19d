import type http from 'node:http';
import type { Duplex } from 'node:stream';
import { encode, toObject } from 'flatbuffers/js/flexbuffers.js';
import { WebSocketServer, type WebSocket } from 'ws';
import { z } from 'zod';
import { bodyOf, created, empty, Failure, type Route } from './http.ts';
import { uuid } from './ids.ts';

/**
 * The service bus as far as file transfer needs it: the requestor binds `/public/gftp/{uuid}`, opens a WebSocket for it,
 * and is then asked by the provider's side. Frames are FlexBuffers: {id, component, payload} there, {id, payload} back.
 */
export interface Gsb {
  routes: Route[];
  upgrade(request: http.IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Services that are bound and not released. */
  bound(): string[];
  call(address: string, component: string, payload: unknown): Promise<unknown>;
  dropAll(): void;
}

const PATH = '/gsb-api/v1/services';
const CONNECT_MS = 5_000;
const ANSWER_MS = 10_000;
const binding = z.object({
  listen: z.object({ on: z.string(), components: z.array(z.string()).optional() }),
});
const answered = z.object({ id: z.string(), payload: z.unknown() });

interface Service {
  on: string;
  socket: WebSocket | null;
  connected: (() => void)[];
  waiting: Map<string, (payload: unknown) => void>;
}

export function createGsb(key: string): Gsb {
  const services = new Map<string, Service>();
  const server = new WebSocketServer({ noServer: true, handleProtocols: () => 'gsb+flexbuffers' });

  function upgrade(request: http.IncomingMessage, socket: Duplex, head: Buffer): void {
    const url = new URL(request.url ?? '/', 'http://yagna');
    const service = services.get(url.pathname.slice(PATH.length + 1));
    const allowed =
      url.searchParams.get('authToken') === key || request.headers.authorization === `Bearer ${key}`;
    if (service === undefined || !allowed) {
      socket.end(`HTTP/1.1 ${allowed ? '404 Not Found' : '401 Unauthorized'}\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    server.handleUpgrade(request, socket, head, (opened) => {
      service.socket = opened;
      opened.on('message', (data: Buffer) => received(service, data));
      opened.on('close', () => (service.socket = null));
      opened.on('error', () => opened.terminate());
      for (const resolve of service.connected.splice(0)) resolve();
    });
  }

  async function call(address: string, component: string, payload: unknown): Promise<unknown> {
    const service = services.get(idOf(address));
    if (service === undefined) throw new Error(`endpoint address not found: ${address}`);
    if (service.socket === null)
      await within(CONNECT_MS, new Promise<void>((resolve) => service.connected.push(resolve)));
    const id = uuid();
    const answer = new Promise((resolve) => service.waiting.set(id, resolve));
    service.socket?.send(encode({ id, component, payload }));
    try {
      return await within(ANSWER_MS, answer);
    } finally {
      service.waiting.delete(id);
    }
  }

  const release = (id: string) => {
    services.get(id)?.socket?.close();
    return services.delete(id);
  };

  return {
    routes: [
      {
        method: 'POST',
        pattern: PATH,
        handler: (request) => {
          const { listen } = bodyOf(binding, request);
          const servicesId = idOf(listen.on);
          services.set(servicesId, { on: listen.on, socket: null, connected: [], waiting: new Map() });
          return created({ listen: { ...listen, links: {} }, servicesId });
        },
      },
      {
        method: 'DELETE',
        pattern: `${PATH}/{id}`,
        handler: (request) => {
          if (!release(request.params.id ?? '')) throw new Failure(404, 'service not found');
          return empty(200);
        },
      },
    ],
    upgrade,
    bound: () => [...services.values()].map(({ on }) => on),
    call,
    dropAll() {
      for (const id of [...services.keys()]) release(id);
    },
  };
}

const idOf = (address: string) => Buffer.from(address).toString('base64url');

function received(service: Service, data: Buffer): void {
  const exact = new Uint8Array(data).buffer;
  const { id, payload } = answered.parse(toObject(exact));
  service.waiting.get(id)?.(payload);
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('GSB error: timeout')), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
