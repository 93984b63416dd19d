import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface TamperingProxy extends AsyncDisposable {
  url: string;
  /** Paths that were asked for since it was last emptied. */
  asked: string[];
  /** Answers instead of the log where it returns something. */
  tamper: (path: string) => Answered | undefined | Promise<Answered | undefined>;
}

export interface Answered {
  status?: number;
  headers?: Record<string, string>;
  body?: Uint8Array | string;
}

/** Stands between an auditor and a log, and lies where a test wants it to. */
export async function tamperingProxy(upstream: () => string): Promise<TamperingProxy> {
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '/';
    proxy.asked.push(path);
    const lie = await proxy.tamper(path);
    if (lie !== undefined) {
      response.writeHead(lie.status ?? 200, lie.headers ?? {}).end(lie.body ?? '');
      return;
    }
    const truth = await fetch(`${upstream()}${path}`, { redirect: 'manual' });
    const type = truth.headers.get('content-type');
    response.writeHead(truth.status, type === null ? {} : { 'content-type': type });
    response.end(new Uint8Array(await truth.arrayBuffer()));
  }
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy: TamperingProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: [],
    tamper: () => undefined,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}
