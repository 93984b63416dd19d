import type { MarketApi } from 'ya-ts-client';
import { z } from 'zod';
import type { Clock } from './clock.ts';
import { satisfies, type Constraint } from './constraints.ts';
import { constraintOf } from './demands.ts';
import { bodyOf, created, empty, Failure, ok, type Call, type Reply, type Route } from './http.ts';
import { subscriptionId } from './ids.ts';
import { offered } from './negotiation.ts';
import type { Provider } from './provider.ts';

/** Offers as they are published, without a demand. */
export interface Scans {
  routes: Route[];
  open(): number;
}

const PATH = '/market-api/v1/scan';
const PING_MS = 15_000;
/** Offers that were published before. */
const SOON_MS = 1;
const wanted = z.object({ type: z.enum(['offer', 'demand']), constraints: z.string().optional() });

export function createScans(parts: { clock: Clock; providers: Provider[] }): Scans {
  const scans = new Map<string, { constraint: Constraint; ended: AbortController }>();
  const find = (call: Call) => {
    const found = scans.get(call.params.scan ?? '');
    if (found === undefined) throw new Failure(404, `Scan [${call.params.scan}] not found.`);
    return found;
  };

  const offersFor = (constraint: Constraint) =>
    parts.providers.flatMap((provider): MarketApi.OfferDTO[] => {
      if (!provider.alive || !satisfies(provider.properties, constraint)) return [];
      const properties = offered(provider);
      if (properties === null) return [];
      const { id: providerId, offerId, constraints } = provider;
      return [
        {
          providerId,
          offerId,
          properties,
          constraints,
          timestamp: parts.clock.stamp(provider.script.clockSkewMs),
        },
      ];
    });

  function stream(call: Call): Reply | Promise<Reply> {
    const { constraint, ended } = find(call);
    const offers = offersFor(constraint);
    if (!call.accept.includes('text/event-stream')) return ok(offers);
    const { response } = call;
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    response.flushHeaders();
    const write = (offer: MarketApi.OfferDTO) =>
      response.write(`event: offer\ndata: ${JSON.stringify(offer)}\n\n`);
    const late = offers.flatMap((offer) => {
      const after = parts.providers.find(({ id }) => id === offer.providerId)?.speed.offerMs ?? 0;
      if (after > SOON_MS) return [setTimeout(write, after, offer)];
      write(offer);
      return [];
    });
    const ping = setInterval(() => response.write(':ping\n\n'), PING_MS);
    const end = () => {
      clearInterval(ping);
      late.forEach((timer) => clearTimeout(timer));
      response.end();
    };
    ended.signal.addEventListener('abort', end, { once: true });
    call.gone.addEventListener('abort', end, { once: true });
    return { answered: true };
  }

  return {
    routes: [
      {
        method: 'POST',
        pattern: PATH,
        handler: (call) => {
          const { constraints = '' } = bodyOf(wanted, call);
          const id = subscriptionId();
          scans.set(id, { constraint: constraintOf(constraints), ended: new AbortController() });
          return created(id);
        },
      },
      { method: 'GET', pattern: `${PATH}/{scan}/events`, handler: stream },
      {
        method: 'DELETE',
        pattern: `${PATH}/{scan}`,
        handler: (call) => {
          find(call).ended.abort();
          scans.delete(call.params.scan ?? '');
          return empty();
        },
      },
    ],
    open: () => scans.size,
  };
}
