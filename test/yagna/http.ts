import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { z } from 'zod';
import type { Clock } from './clock.ts';
import type { EndpointFault, EndpointFaults } from './endpoint-faults.ts';
import type { Journal, JournalEntry } from './journal.ts';

/** One request on its way to its handler. */
export interface Call {
  params: Record<string, string>;
  query: URLSearchParams;
  body: unknown;
  accept: string;
  /** Fires when nobody waits for the answer any more. */
  gone: AbortSignal;
  /** For handlers that answer by themselves (event streams). */
  response: http.ServerResponse;
}

/** What a handler answers: a status with a JSON value, bytes, or `answered` when it wrote by itself. */
export type Reply =
  { status: number; json?: unknown; type?: string; bytes?: Buffer } | { answered: true } | { hang: true };

export type Handler = (call: Call) => Reply | Promise<Reply>;

export interface Route {
  method: string;
  pattern: string;
  handler: Handler;
  /** Answers also without a key. */
  open?: boolean;
}

/** An answer that is not a success, thrown by handlers. */
export class Failure extends Error {
  readonly status: number;
  readonly problem: boolean;
  constructor(status: number, message: string, problem = false) {
    super(message);
    this.status = status;
    this.problem = problem;
  }
}

export const ok = (json: unknown): Reply => ({ status: 200, json });
export const created = (json: unknown): Reply => ({ status: 201, json });
export const empty = (status: 200 | 204 = 204): Reply => ({ status });

/** The body as its schema says, else 400. */
export function bodyOf<T>(schema: z.ZodType<T>, call: Call): T {
  const parsed = schema.safeParse(call.body);
  if (parsed.success) return parsed.data;
  throw new Failure(400, `Json deserialize error: ${z.prettifyError(parsed.error)}`);
}

/** Seconds in the query, as milliseconds; yagna accepts fractions. */
export function timeoutMs(call: Call, fallbackSeconds: number): number {
  const text = call.query.get('timeout');
  const seconds = text === null ? fallbackSeconds : Number(text);
  if (!Number.isFinite(seconds) || seconds < 0) throw new Failure(400, 'Query deserialize error: timeout');
  return seconds * 1000;
}

/** maxEvents or maxItems, 1 to 100. */
export function maximum(call: Call, name: string, fallback: number): number {
  const text = call.query.get(name);
  const max = text === null ? fallback : Number(text);
  if (!Number.isInteger(max) || max < 1 || max > 100)
    throw new Failure(400, `Query deserialize error: ${name} must be between 1 and 100`);
  return max;
}

export interface ServerParts {
  routes: Route[];
  key: string;
  clock: Clock;
  journal: Journal;
  faults: EndpointFaults;
  upgrade(request: http.IncomingMessage, socket: Duplex, head: Buffer): void;
}

export interface Server {
  listen(port: number): Promise<number>;
  /** Ends every connection as a dying process does. */
  close(): Promise<void>;
}

export function createServer(parts: ServerParts): Server {
  const table = parts.routes.map((route) => ({ ...route, expression: expressionOf(route.pattern) }));
  let server: http.Server | null = null;
  const sockets = new Set<Socket>();
  return {
    async listen(port) {
      const listening = http.createServer(
        (request, response) => void answer(parts, table, request, response),
      );
      listening.on('connection', (socket: Socket) => {
        sockets.add(socket);
        socket.on('close', () => sockets.delete(socket));
      });
      listening.on('upgrade', parts.upgrade);
      await new Promise<void>((resolve, reject) => {
        listening.once('error', reject);
        listening.listen(port, '127.0.0.1', resolve);
      });
      server = listening;
      return (listening.address() as AddressInfo).port;
    },
    async close() {
      const closing = server;
      server = null;
      if (closing === null) return;
      await new Promise((resolve) => {
        closing.close(resolve);
        for (const socket of sockets) socket.destroy();
      });
    },
  };
}

type Table = (Route & { expression: RegExp })[];

const expressionOf = (pattern: string) =>
  new RegExp(`^${pattern.replaceAll('.', '\\.').replace(/\{(\w+)\}/g, '(?<$1>[^/]+)')}$`);

async function answer(
  parts: ServerParts,
  table: Table,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://yagna');
  const method = request.method ?? 'GET';
  const entry: JournalEntry = {
    at: new Date().toISOString(),
    method,
    path: url.pathname,
    query: url.search,
    route: table.find((one) => one.method === method && one.expression.test(url.pathname))?.pattern ?? null,
    body: undefined,
    status: null,
    ms: null,
  };
  parts.journal.begin(entry);
  const began = performance.now();
  const gone = new AbortController();
  response.on('close', () => {
    entry.status = response.writableFinished ? response.statusCode : 0;
    entry.ms = performance.now() - began;
    gone.abort();
  });
  try {
    const body = await bodyFrom(request);
    entry.body = body;
    const fault = parts.faults.take(method, url.pathname);
    if (await stoppedBy(fault, response)) return;
    const reply = await handled(parts, table, entry, {
      query: url.searchParams,
      body,
      accept: request.headers.accept ?? '',
      authorization: request.headers.authorization,
      gone: gone.signal,
      response,
    });
    if (fault?.drop === 'answer') request.socket.resetAndDestroy();
    else write(response, reply);
  } catch (error) {
    write(response, failed(error));
  }
}

/** True when the fault has answered, or decided that nobody does. */
async function stoppedBy(fault: EndpointFault | null, response: http.ServerResponse): Promise<boolean> {
  if (fault === null) return false;
  if (fault.delayMs !== undefined) await new Promise((resolve) => setTimeout(resolve, fault.delayMs));
  if (fault.drop === 'request') response.req.socket.resetAndDestroy();
  if (fault.drop === 'request' || fault.hang === true) return true;
  if (fault.status === undefined) return false;
  write(response, { status: fault.status, json: { message: fault.message ?? 'scripted fault' } });
  return true;
}

async function handled(
  parts: ServerParts,
  table: Table,
  entry: JournalEntry,
  call: Omit<Call, 'params'> & { authorization: string | undefined },
): Promise<Reply> {
  const matching = table.flatMap((route) => {
    const found = route.expression.exec(entry.path);
    return found === null ? [] : [{ route, params: found.groups ?? {} }];
  });
  const found = matching.find(({ route }) => route.method === entry.method);
  if (found?.route.open !== true && call.authorization !== `Bearer ${parts.key}`)
    throw new Failure(401, 'Unauthorized');
  if (matching.length === 0) throw new Failure(404, 'not found');
  if (found === undefined) throw new Failure(405, 'method not allowed');
  const params = Object.fromEntries(
    Object.entries(found.params).map(([name, value]) => [name, decodeURIComponent(value)]),
  );
  return found.route.handler({ ...call, params });
}

function failed(error: unknown): Reply {
  if (!(error instanceof Failure))
    return { status: 500, json: { message: `the emulator failed: ${String(error)}` } };
  const { status, message, problem } = error;
  if (!problem) return { status, json: { message } };
  return { status, json: { title: message, detail: message, status }, type: 'application/problem+json' };
}

function write(response: http.ServerResponse, reply: Reply): void {
  if ('answered' in reply || 'hang' in reply || response.destroyed || response.headersSent) return;
  const { status, json, bytes, type } = reply;
  const body = bytes ?? (json === undefined ? null : Buffer.from(JSON.stringify(json)));
  if (body !== null) response.setHeader('content-type', type ?? 'application/json');
  response.setHeader('content-length', body?.length ?? 0);
  if (status === 204) response.removeHeader('content-length');
  response.writeHead(status).end(body ?? undefined);
}

async function bodyFrom(request: http.IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString('utf8');
  if (text === '') return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new Failure(400, 'Json deserialize error');
  }
}
