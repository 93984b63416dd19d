/** Offers on the market, without a demand and without cost. Looks with the same needs share one for some seconds. */
import type { Needs } from '../backend.ts';
import type { Region } from '../../domain/jobspec/region.ts';
import { parseCpus, parseMemory } from '../local/quantity.ts';
import type { Connections } from './connection.ts';
import { readOffer, type Offer } from './offer.ts';
import { platformOf, type GolemSettings } from './settings.ts';

export interface Seen {
  offers: Offer[];
  /** Offers that cannot be used by anybody: no prices, no id. */
  unreadable: number;
  /** In which the first of those came that are worth it: the relaxed one begins when the strict one has passed. */
  window: 'strict' | 'relaxed';
}

const GIB = 1024 ** 3;

export interface Machine {
  minMemGib: number;
  minCpuThreads: number;
  minStorageGib: number;
}

/** What a provider must have for these resources. */
export function machineFor(resources: Needs['resources'], settings: GolemSettings): Machine {
  const memory = resources.memory === undefined ? null : parseMemory(resources.memory);
  const cpus = resources.cpu === undefined ? null : parseCpus(resources.cpu);
  return {
    minMemGib: Math.max(settings.minMemoryGib, memory === null ? 0 : memory / GIB),
    minCpuThreads: Math.max(settings.minThreads, cpus === null ? 0 : Math.ceil(cpus)),
    minStorageGib: settings.minStorageGib,
  };
}

export interface Market {
  /** `enough`: whether these offers are worth ending the strict window; it depends on the region alone. */
  look(
    wanted: { region: Region | null; machine: Machine },
    enough: (offers: readonly Offer[]) => boolean,
  ): Promise<Seen>;
}

/** From this share of its time on, a look is renewed behind the back of whoever uses it. */
const RENEWED_FROM = 0.7;

interface Look {
  seen: Promise<Seen>;
  renewFrom: number;
  until: number;
}

export function createMarket(settings: GolemSettings, connections: Pick<Connections, 'take'>): Market {
  const { shareMs } = settings.waits;
  const shared = new Map<string, Look>();
  return {
    look({ region, machine }, enough) {
      const key = JSON.stringify([region, machine]);
      const now = performance.now();
      for (const [old, { until }] of shared) if (until < now) shared.delete(old);
      const begin = (): Look => {
        const seen = scan(connections, machine, enough, settings);
        return { seen, renewFrom: now + shareMs * RENEWED_FROM, until: now + shareMs };
      };
      const forget = (look: Look): void => {
        if (shared.get(key) === look) shared.delete(key);
      };
      const known = shared.get(key);
      if (known !== undefined) {
        if (known.renewFrom < now) {
          known.renewFrom = Infinity;
          const next = begin();
          // One that fails leaves the old one for the rest of its time; an empty market is looked at again.
          next.seen.then(
            ({ offers }) => (offers.length > 0 ? shared.set(key, next) : forget(known)),
            () => undefined,
          );
        }
        return known.seen;
      }
      const look = begin();
      shared.set(key, look);
      // An empty market and a failed look are looked at again.
      look.seen.then(
        ({ offers }) => offers.length === 0 && forget(look),
        () => forget(look),
      );
      return look.seen;
    },
  };
}

async function scan(
  connections: Pick<Connections, 'take'>,
  machine: Machine,
  enough: (offers: readonly Offer[]) => boolean,
  settings: GolemSettings,
): Promise<Seen> {
  using connection = await connections.take(false);
  const { glm } = connection;
  const { network, subnet, waits } = settings;
  const spec = glm.market.buildScanSpecification({
    workload: { runtime: { name: 'vm' }, ...machine },
    subnetTag: subnet,
  });
  // The SDK's own option for it always asks for mainnet's token.
  const constraints = [...spec.constraints, `(golem.com.payment.platform.${platformOf(network)}.address=*)`];
  const offers = new Map<string, Offer>();
  let unreadable = 0;
  const began = performance.now();
  let foundAt: number | undefined;
  return await new Promise<Seen>((resolve, reject) => {
    let quiet: NodeJS.Timeout | undefined;
    const timers = [setTimeout(strict, waits.strictMs), setTimeout(end, waits.strictMs + waits.relaxedMs)];
    const subscription = glm.market.scan({ constraints }).subscribe({
      next: (found) => {
        const offer = readScanned(found);
        if (offer === undefined) unreadable++;
        else if ((offers.get(offer.provider)?.pricing.start ?? Infinity) >= offer.pricing.start)
          offers.set(offer.provider, offer);
        if (foundAt === undefined && enough([...offers.values()])) foundAt = performance.now();
        clearTimeout(quiet);
        quiet = setTimeout(settle, waits.quietMs);
      },
      error: (error: unknown) => {
        stop();
        reject(
          error instanceof Error ? error : new Error('the scan of the market broke off', { cause: error }),
        );
      },
    });
    function stop(): void {
      clearTimeout(quiet);
      timers.forEach((timer) => clearTimeout(timer));
      subscription.unsubscribe();
    }
    function end(): void {
      stop();
      const late = (foundAt ?? performance.now()) - began > waits.strictMs;
      resolve({ offers: [...offers.values()], unreadable, window: late ? 'relaxed' : 'strict' });
    }
    /** The market is quiet: good offers end the look at once, others only after the strict window. */
    function settle(): void {
      if (foundAt !== undefined || performance.now() - began >= waits.strictMs) end();
    }
    function strict(): void {
      if (offers.size > 0) end();
    }
  });
}

function readScanned(found: { provider: { id: string }; properties: unknown }): Offer | undefined {
  try {
    return readOffer(found.provider.id, found.properties);
  } catch {
    return undefined;
  }
}
