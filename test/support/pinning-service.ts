import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

type Status = 'queued' | 'pinning' | 'pinned' | 'failed';

export interface Pin {
  requestid: string;
  status: Status;
  created: string;
  pin: { cid: string; name?: string; origins?: string[] };
  delegates: string[];
  info: Record<string, string>;
}

/** A service as the IPFS Pinning Service API describes it, over HTTP, whose answers a test decides. */
export interface FakePinningService extends AsyncDisposable {
  endpoint: string;
  token: string;
  pins: Pin[];
  requests: string[];
  /** What becomes of a pin at its next look. */
  next: Status;
  /** Answers every request with this status. */
  broken: number | undefined;
}

export async function startPinningService(): Promise<FakePinningService> {
  const service: FakePinningService = {
    endpoint: '',
    token: 'secret-of-the-tests',
    pins: [],
    requests: [],
    next: 'pinned',
    broken: undefined,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const server = createServer((request, response) => void answer(service, request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  service.endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/psa`;
  return service;
}

async function answer(
  service: FakePinningService,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const send = (status: number, body?: unknown): void => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(body === undefined ? undefined : JSON.stringify(body));
  };
  const failed = (status: number, reason: string): void =>
    send(status, { error: { reason, details: reason } });
  let text = '';
  for await (const chunk of request) text += String(chunk);
  const url = new URL(request.url ?? '', 'http://localhost');
  service.requests.push(`${request.method} ${url.pathname}`);
  const id = /^\/psa\/pins\/(.+)$/.exec(url.pathname)?.[1];
  const known = service.pins.find((one) => one.requestid === id);
  if (service.broken !== undefined) failed(service.broken, 'BROKEN');
  else if (request.headers.authorization !== `Bearer ${service.token}`) failed(401, 'UNAUTHORIZED');
  else if (id !== undefined && known === undefined) failed(404, 'NOT_FOUND');
  else if (known !== undefined && request.method === 'DELETE') {
    service.pins.splice(service.pins.indexOf(known), 1);
    send(202);
  } else if (known !== undefined) {
    known.status = service.next;
    send(200, known);
  } else if (request.method === 'POST') {
    const pin: Pin = {
      requestid: randomUUID(),
      status: 'queued',
      created: new Date().toISOString(),
      pin: JSON.parse(text) as Pin['pin'],
      delegates: [],
      info: {},
    };
    service.pins.push(pin);
    send(202, pin);
  } else {
    const results = service.pins.filter((one) => one.pin.cid === url.searchParams.get('cid'));
    send(200, { count: results.length, results });
  }
}
