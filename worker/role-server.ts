import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Log } from '../observability/log.ts';

const CHECK_TIMEOUT_MS = 1_000;
/** Probes and scrapers send one short request at a time. */
const REQUEST_TIMEOUT_MS = 5_000;

/** Something without which the role does not do its work; rejects, or throws, when it is amiss. */
export interface RoleCheck {
  name: string;
  check(): void | Promise<void>;
}

export interface RoleServerOptions {
  listen: { host: string | null; port: number };
  checks: readonly RoleCheck[];
  /** Of this process alone. */
  renderMetrics(): Promise<{ contentType: string; body: string }>;
  log: Log;
}

export interface RoleServer extends AsyncDisposable {
  url: string;
}

interface RoleHealth {
  name: string;
  status: 'healthy' | 'unhealthy';
  last_check: string;
  error?: string;
}

/** What worker and relay show of themselves: liveness, readiness, metrics. The API shows its own. */
export async function startRoleServer({
  listen,
  checks,
  renderMetrics,
  log,
}: RoleServerOptions): Promise<RoleServer> {
  const answer = async (path: string, response: ServerResponse): Promise<void> => {
    if (path === '/health/live') {
      sendJson(response, 200, { status: 'alive' });
    } else if (path === '/health/ready') {
      const services = await Promise.all(checks.map(ask));
      const ready = services.every(({ status }) => status === 'healthy');
      const status = ready ? 'healthy' : 'unhealthy';
      sendJson(response, ready ? 200 : 503, { ready, status, services });
    } else if (path === '/metrics') {
      const { contentType, body } = await renderMetrics();
      response.writeHead(200, { 'content-type': contentType }).end(body);
    } else {
      sendJson(response, 404, { error: 'there are /health/live, /health/ready and /metrics' });
    }
  };

  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      sendJson(response, 405, { error: 'only GET' });
      return;
    }
    answer((request.url ?? '').split('?')[0]!, response).catch((error: unknown) => {
      log.warn({ err: error }, 'the role could not tell how it is');
      if (response.headersSent) response.destroy();
      else sendJson(response, 500, { error: 'see the log' });
    });
  });
  const host = listen.host ?? '127.0.0.1';
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new Error(`ROLE_PORT: cannot listen on ${host}:${listen.port}`, { cause })),
    );
    server.listen(listen.port, host, resolve);
  });
  const url = `http://${host}:${(server.address() as AddressInfo).port}`;
  log.info({ url }, 'health and metrics of this process');
  return {
    url,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function ask({ name, check }: RoleCheck): Promise<RoleHealth> {
  const last_check = new Date().toISOString();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${CHECK_TIMEOUT_MS} ms`)), CHECK_TIMEOUT_MS);
  });
  try {
    await Promise.race([Promise.resolve().then(check), late]);
    return { name, status: 'healthy', last_check };
  } catch (error) {
    const reason = error instanceof Error && error.message !== '' ? error.message : 'not reachable';
    return { name, status: 'unhealthy', last_check, error: reason };
  } finally {
    clearTimeout(timer);
  }
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
