import http from 'node:http';
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import { urlAllowed } from './outbound.ts';

/**
 * A provider's way out: a forward proxy whose requests come from the provider's own loopback address, so that whoever is
 * asked sees every provider elsewhere. Only what its demand's manifest names is let through, and only on loopback.
 */
export interface Egress extends AsyncDisposable {
  url: string;
}

export async function openEgress(address: string, urls: string[]): Promise<Egress> {
  const allowed = (url: URL) =>
    /^(127\.\d+\.\d+\.\d+|localhost)$/.test(url.hostname) &&
    urls.some((one) => urlAllowed(url.href, one) || urlAllowed(url.href, `${one.replace(/\/$/, '')}/*`));
  const server = http.createServer((request, response) => {
    const url = parsed(request.url ?? '');
    if (url === null || !allowed(url)) {
      response.writeHead(403).end('not allowed by the manifest\n');
      return;
    }
    const { 'proxy-connection': _, ...headers } = request.headers;
    const out = http.request(
      url,
      { method: request.method, headers, localAddress: address, agent: false },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    out.on('error', () => response.writeHead(502).end());
    request.pipe(out);
  });
  server.on('connect', (request, socket, head) => {
    const url = parsed(`https://${request.url}`);
    if (url === null || !allowed(url)) {
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
      return;
    }
    const out = net.connect({ host: url.hostname, port: Number(url.port || 443), localAddress: address });
    out.on('connect', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      out.write(head);
      out.pipe(socket).pipe(out);
    });
    out.on('error', () => socket.destroy());
    socket.on('error', () => out.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const parsed = (text: string) => (URL.canParse(text) ? new URL(text) : null);
