import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  SIZE_CONTENT_TYPE,
  WitnessRefusal,
  type WitnessRefusalCode,
} from '../../domain/log/add-checkpoint.ts';
import type { Log } from '../../observability/log.ts';
import type { Witness } from './witness.ts';

/** A checkpoint of at most 64 KiB and 63 hashes. */
const MAX_BODY_BYTES = 64 * 1_024 + 63 * 45 + 64;
const REQUEST_TIMEOUT_MS = 5_000;
const MAX_CONNECTIONS = 200;

const STATUS: Record<WitnessRefusalCode, number> = {
  malformed: 400,
  unsigned: 403,
  unknown_origin: 404,
  conflict: 409,
  inconsistent: 422,
};

export interface WitnessServerOptions {
  witness: Witness;
  listen: { host: string; port: number };
  log: Log;
}

export interface WitnessServer extends AsyncDisposable {
  url: string;
}

/** `POST /add-checkpoint` of C2SP tlog-witness v1.0.0; `GET /health/live` for probes. */
export async function startWitnessServer({
  witness,
  listen,
  log,
}: WitnessServerOptions): Promise<WitnessServer> {
  const add = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await readBody(request);
    if (body === undefined) {
      response.setHeader('connection', 'close');
      send(response, 413, `a request has at most ${MAX_BODY_BYTES} bytes\n`);
      return;
    }
    try {
      send(response, 200, await witness.addCheckpoint(body));
    } catch (error) {
      if (!(error instanceof WitnessRefusal)) throw error;
      // Signed by the log, and it does not fit: possibly the proof that somebody cheats. Another old size is no more than a question.
      if (
        error.code === 'inconsistent' ||
        (error.code === 'conflict' && body.startsWith(`old ${error.size}\n`))
      )
        log.warn({ code: error.code, reason: error.message, request: body }, 'a checkpoint was not cosigned');
      const isSize = error.size !== undefined;
      const type = isSize ? SIZE_CONTENT_TYPE : undefined;
      send(response, STATUS[error.code], isSize ? `${error.size}\n` : `${error.message}\n`, type);
    }
  };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = (request.url ?? '').split('?')[0]!;
    if (path === '/add-checkpoint' && request.method === 'POST') await add(request, response);
    else if (path === '/health/live' && request.method === 'GET') send(response, 200, 'alive\n');
    else if (path === '/add-checkpoint') send(response, 405, 'only POST\n');
    else send(response, 404, 'there is POST /add-checkpoint\n');
  };

  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    answer(request, response).catch((error: unknown) => {
      log.error({ err: error }, 'the witness could not answer');
      if (response.headersSent) response.destroy();
      else send(response, 500, 'see the log of the witness\n');
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen.port, listen.host, resolve);
  });
  return {
    url: `http://${listen.host}:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeIdleConnections();
      const closed = new Promise((resolve) => server.close(resolve));
      const timer = setTimeout(() => server.closeAllConnections(), REQUEST_TIMEOUT_MS);
      await closed;
      clearTimeout(timer);
    },
  };
}

/** Undefined when it is too large. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function send(
  response: ServerResponse,
  status: number,
  text: string,
  type = 'text/plain; charset=utf-8',
): void {
  response.writeHead(status, { 'content-type': type, 'x-content-type-options': 'nosniff' }).end(text);
}
