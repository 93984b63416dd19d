/** Offers on the market, without a demand and without cost. Looks with the same needs share one for some seconds. */
import type { Needs } from '../backend.ts';
import type { Region } from '../../domain/jobspec/region.ts';
import { parseCpus, parseMemory } from '../local/quantity.ts';
import type { Connection } from './connection.ts';
import { readOffer, type Offer } from './offer.ts';
import { platformOf, type GolemSettings } from './settings.ts';

export interface Seen {
  offers: Offer[];
  /** Offers that cannot be used by anybody: no prices, no id. */
  unreadable: number;
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
    connection: Connection,
    wanted: { region: Region | null; machine: Machine },
    enough: (offers: readonly Offer[]) => boolean,
  ): Promise<Seen>;
}

export function createMarket(settings: GolemSettings): Market {
  const shared = new Map<string, { seen: Promise<Seen>; until: number }>();
  return {
    look(connection, { region, machine }, enough) {
      const key = JSON.stringify([region, machine]);
      const now = performance.now();
      for (const [old, { until }] of shared) if (until < now) shared.delete(old);
      const known = shared.get(key);
      if (known !== undefined) return known.seen;
      const seen = scan(connection, machine, enough, settings);
      shared.set(key, { seen, until: now + settings.waits.shareMs });
      // An empty market and a failed look are looked at again.
      seen.then(
        ({ offers }) => offers.length === 0 && shared.delete(key),
        () => shared.delete(key),
      );
      return seen;
    },
  };
}

function scan(
  { glm }: Connection,
  machine: Machine,
  enough: (offers: readonly Offer[]) => boolean,
  settings: GolemSettings,
): Promise<Seen> {
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
  return new Promise((resolve, reject) => {
    let quiet: NodeJS.Timeout | undefined;
    const timers = [setTimeout(strict, waits.strictMs), setTimeout(end, waits.strictMs + waits.relaxedMs)];
    const subscription = glm.market.scan({ constraints }).subscribe({
      next: (found) => {
        const offer = readScanned(found);
        if (offer === undefined) unreadable++;
        else if ((offers.get(offer.provider)?.pricing.start ?? Infinity) >= offer.pricing.start)
          offers.set(offer.provider, offer);
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
      resolve({ offers: [...offers.values()], unreadable });
    }
    /** The market is quiet: good offers end the look at once, others only after the strict window. */
    function settle(): void {
      if (enough([...offers.values()]) || performance.now() - began >= waits.strictMs) end();
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
