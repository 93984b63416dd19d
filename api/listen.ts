import { rename, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { ListenSettings } from './settings.ts';

/** Disposing stops taking connections; those that are open are the app's to end. */
export interface Listening extends AsyncDisposable {
  /** Base URL as a client on this machine uses it. */
  url: string;
  port: number;
  /** Resolves when no connection is left on an address that the app does not listen on itself. */
  left(): Promise<void>;
}

class ListenError extends Error {
  readonly code = 'port_taken';
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ListenError';
  }
}

const IPV4_LOOPBACK = '127.0.0.1';
const IPV6_LOOPBACK = '::1';
const LOOPBACK_HOST = /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/;
/** Whether `host` is served to this machine alone. */
export function isLoopback(host: string): boolean {
  return LOOPBACK_HOST.test(host);
}

/** A port that is free on one loopback address can be taken on the other; another free one is found soon. */
const EPHEMERAL_TRIES = 10;

/**
 * Binds the app to the first port that its settings allow. `loopbackOnly` binds 127.0.0.1 and, where there is one, ::1,
 * whatever the settings say. Throws ListenError when no allowed port is free.
 */
export async function listen(
  app: FastifyInstance,
  settings: ListenSettings,
  loopbackOnly: boolean,
): Promise<Listening> {
  const host = settings.host?.replace(/^\[|\]$/g, '') ?? null;
  const both = loopbackOnly || host === 'localhost';
  let last: unknown;
  for (const port of candidatePorts(settings)) {
    try {
      const second = both ? await bindSecond(app, port) : undefined;
      const bound = await bindFirst(app, both ? IPV4_LOOPBACK : host, second?.port ?? port).catch(
        async (error: unknown) => {
          second?.close();
          await second?.left;
          throw error;
        },
      );
      const shown = host === null || both || isLoopback(host) ? IPV4_LOOPBACK : host;
      const url = `http://${shown.includes(':') ? `[${shown}]` : shown}:${bound}`;
      if (settings.addressFile !== null) await writeAddress(settings.addressFile, url);
      return {
        url,
        port: bound,
        left: async () => second?.left,
        [Symbol.asyncDispose]: async () => second?.close(),
      };
    } catch (error) {
      if (codeOf(error) !== 'EADDRINUSE' && codeOf(error) !== 'EACCES') throw error;
      last = error;
    }
  }
  throw new ListenError(describeTaken(settings), { cause: last });
}

function candidatePorts({ port, strategy, range: [first, end] }: ListenSettings): number[] {
  if (strategy === 'ephemeral' || port === 0) return Array.from({ length: EPHEMERAL_TRIES }, () => 0);
  if (strategy === 'strict') return [port];
  const rest = Array.from({ length: Math.max(0, end - first + 1) }, (_, index) => first + index);
  return [port, ...rest.filter((other) => other !== port)];
}

function describeTaken({ port, strategy, range }: ListenSettings): string {
  if (strategy === 'strict')
    return `port ${port} is taken: stop what holds it, or set HTTP_PORT or PORT_STRATEGY=fallback`;
  return `port ${port} and all of ${range.join('-')} are taken: set HTTP_PORT, PORT_RANGE or PORT_STRATEGY=ephemeral`;
}

async function bindFirst(app: FastifyInstance, host: string | null, port: number): Promise<number> {
  const bind = (address: string) =>
    app.listen({ host: address, port, listenTextResolver: (url) => `listening on ${url}` });
  // Every address: `::` takes IPv4 too, where the machine has IPv6.
  if (host !== null) await bind(host);
  else
    await bind('::').catch((error: unknown) =>
      isWithoutIpv6(error) ? bind('0.0.0.0') : Promise.reject(error as Error),
    );
  const address = app.server.address();
  if (address === null || typeof address === 'string') throw new ListenError('the server has no port');
  return address.port;
}

interface Second {
  port: number;
  close(): void;
  left: Promise<void>;
}

/** The second loopback address: its connections go to the app's own server. Undefined without IPv6. */
async function bindSecond(app: FastifyInstance, port: number): Promise<Second | undefined> {
  const server: Server = createServer((socket) => app.server.emit('connection', socket));
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: IPV6_LOOPBACK, port }, resolve);
    });
  } catch (error) {
    if (isWithoutIpv6(error)) return undefined;
    throw error;
  }
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    close: () => server.close(),
    left: new Promise((resolve) => server.once('close', resolve)),
  };
}

/** Written whole or not at all: a script may be waiting for it. */
async function writeAddress(file: string, url: string): Promise<void> {
  const fresh = `${file}.${process.pid}`;
  await writeFile(fresh, `${url}\n`);
  await rename(fresh, file);
}

function isWithoutIpv6(error: unknown): boolean {
  return ['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes(codeOf(error) ?? '');
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
