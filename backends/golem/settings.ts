import type { Region } from '../../domain/jobspec/region.ts';
import type { RegionPolicy } from '../../domain/region/judge.ts';
import type { ImageMap } from './image-map.ts';

/** Networks under yagna's own names; what it pays with follows from them. */
const MAINNETS = ['mainnet', 'polygon'];
export const YAGNA_NETWORKS = [
  ...MAINNETS,
  'hoodi',
  'holesky',
  'sepolia',
  'rinkeby',
  'goerli',
  'mumbai',
  'amoy',
] as const;

/** What operators call them: the test network of today and the network that people pay on. */
const ALIASES: Record<string, string> = { testnet: 'hoodi', mainnet: 'polygon' };

export interface GolemSettings {
  yagnaUrl: string;
  apiKey: string;
  /** One of YAGNA_NETWORKS. */
  network: string;
  subnet: string;
  /** `container.image` → what providers boot. */
  images: ImageMap;
  /** Where image tags are looked up; null: nowhere. */
  registryUrl: string | null;
  /** Node ids that an operator vouches for, by region. */
  regionLists: Partial<Record<Region, string[]>>;
  /** Subnets whose nodes are in one region. */
  regionSubnets: Record<string, Region>;
  /** The most that any offer may ask. */
  caps: PriceCaps;
  /** Of jobs that name none. */
  regionPolicy: RegionPolicy;
  /** As providers reach our echo endpoint; null: nobody can be probed. */
  echoUrl: string | null;
  /** What an execution gets that asks for less or nothing. */
  minMemoryGib: number;
  minThreads: number;
  minStorageGib: number;
  waits: Waits;
  /** Negotiations with providers that run at once. */
  negotiations: number;
  /** A GolemNetwork keeps every proposal it ever saw: after so many executions a new one takes over. */
  executionsPerNetwork: number;
}

/** GLM. */
export interface PriceCaps {
  start: number;
  /** Of a thread. */
  cpuHour: number;
  envHour: number;
  /** All of a rental's threads and the rental itself; null: only bounded by the others. */
  minute: number | null;
  /** One attempt, whatever it is made of; null: only bounded by the others. */
  total: number | null;
}

export interface Waits {
  /** How long a look at the market waits for offers whose region is claimed. */
  strictMs: number;
  /** How much longer it waits for any offer. */
  relaxedMs: number;
  /** No offer for so long after the last one: the market has told all that it knows. */
  quietMs: number;
  /** A look is shared by all executions with the same needs for so long. */
  shareMs: number;
  /** From publishing a demand to an approved agreement. */
  agreeMs: number;
  /** One provider's answer to an agreement. */
  approvalMs: number;
  /** Activity made, image fetched, started. */
  deployMs: number;
  /** One probe of a provider's address. */
  probeMs: number;
  /** Outputs brought back after the program has ended. */
  collectMs: number;
  /** The invoice after the end. */
  invoiceMs: number;
  /** One clean-up call to yagna. */
  releaseCallMs: number;
  /** A running execution goes on that long without yagna. */
  awayMs: number;
  /** A provider that failed is not asked again for so long. */
  coolDownMs: number;
}

const WAITS: Waits = {
  strictMs: 5_000,
  relaxedMs: 10_000,
  quietMs: 150,
  shareMs: 10_000,
  agreeMs: 60_000,
  approvalMs: 20_000,
  deployMs: 90_000,
  probeMs: 10_000,
  collectMs: 60_000,
  invoiceMs: 30_000,
  releaseCallMs: 4_000,
  awayMs: 90_000,
  coolDownMs: 60_000,
};

/** Fills in what was not said. */
export function golemSettings(
  given: Partial<Omit<GolemSettings, 'waits'>> &
    Pick<GolemSettings, 'yagnaUrl' | 'apiKey'> & { waits?: Partial<Waits> },
): GolemSettings {
  return {
    network: 'hoodi',
    subnet: 'public',
    images: {},
    registryUrl: null,
    regionLists: {},
    regionSubnets: {},
    regionPolicy: 'claimed',
    echoUrl: null,
    caps: { start: 0.5, cpuHour: 0.5, envHour: 0.5, minute: null, total: null },
    minMemoryGib: 0.5,
    minThreads: 1,
    minStorageGib: 2,
    negotiations: 20,
    executionsPerNetwork: 200,
    ...given,
    waits: { ...WAITS, ...given.waits },
  };
}

/** Yagna's name of a network, or undefined when there is none of this name. */
export function networkNamed(name: string): string | undefined {
  const network = Object.hasOwn(ALIASES, name) ? ALIASES[name] : name;
  return (YAGNA_NETWORKS as readonly string[]).includes(network!) ? network : undefined;
}

export const DRIVER = 'erc20';

export const tokenOf = (network: string): 'glm' | 'tglm' => (MAINNETS.includes(network) ? 'glm' : 'tglm');

/** The payment platform that offers must have an address on. */
export const platformOf = (network: string): string => `${DRIVER}-${network}-${tokenOf(network)}`;
