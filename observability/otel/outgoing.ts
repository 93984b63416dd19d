/**
 * A span for each HTTP call that `fetch` makes within a span that is still open: Kubo, pinning services, witnesses, yagna.
 * Node says on diagnostics channels what its client does, so no call knows of it. Nothing is sent along: whom we call need
 * not know our traces. Queries, headers and bodies are never written down.
 */
import diagnostics from 'node:diagnostics_channel';
import { tracing, typeOf, type Span } from '../tracing.ts';

interface ClientRequest {
  origin: string | URL;
  method: string;
  path: string;
}

/** Polls of yagna for events: waiting, not work, and often begun for one job and kept for all. */
const LONG_POLL = /events$/i;
const LONGEST_PATH = 256;

type Listener = (message: unknown) => void;

export function traceOutgoing(): Disposable {
  const open = new WeakMap<object, Span>();
  const listeners: Record<string, Listener> = {
    'undici:request:create'(message) {
      const { request } = message as { request: ClientRequest };
      const span = begin(request);
      if (span !== undefined) open.set(request, span);
    },
    'undici:request:headers'(message) {
      const { request, response } = message as { request: ClientRequest; response: { statusCode: number } };
      const span = open.get(request);
      span?.set({ 'http.response.status_code': response.statusCode });
      if (isFailure(request.method, response.statusCode)) span?.fail(String(response.statusCode));
    },
    'undici:request:trailers'(message) {
      end((message as { request: object }).request);
    },
    'undici:request:error'(message) {
      const { request, error } = message as { request: object; error: unknown };
      end(request, typeOf(error));
    },
  };
  const end = (request: object, failed?: string): void => {
    const span = open.get(request);
    open.delete(request);
    if (failed !== undefined) span?.fail(failed);
    span?.end();
  };
  for (const [name, listener] of Object.entries(listeners)) diagnostics.subscribe(name, listener);
  return {
    [Symbol.dispose]() {
      for (const [name, listener] of Object.entries(listeners)) diagnostics.unsubscribe(name, listener);
    },
  };
}

/** What is to be deleted and is gone already is no failure. */
const isFailure = (method: string, status: number): boolean =>
  status >= 400 && !(method === 'DELETE' && (status === 404 || status === 410));

function begin({ origin, method, path }: ClientRequest): Span | undefined {
  const now = tracing();
  if (now?.active() === undefined) return undefined;
  const { protocol, hostname, port } = new URL(String(origin));
  const place = path.replace(/[?#].*$/s, '').slice(0, LONGEST_PATH);
  if (LONG_POLL.test(place)) return undefined;
  const usual = protocol === 'https:' ? 443 : 80;
  return now.start(method, {
    kind: 'client',
    attributes: {
      'http.request.method': method,
      'server.address': hostname,
      'server.port': port === '' ? usual : Number(port),
      'url.full': `${protocol}//${hostname}${port === '' ? '' : `:${port}`}${place}`,
    },
  });
}
