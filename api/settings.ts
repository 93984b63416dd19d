import type { PlanSettings } from '../domain/jobspec/expand.ts';

/** What the API needs to know of its surroundings; `config/settings.ts` fills it from the environment. */
export interface ApiSettings {
  listen: ListenSettings;
  /** Host names served besides loopback names and the address that was reached; `*` serves any. */
  allowedHosts: readonly string[];
  /** Origins of web pages that may call, as `https://name[:port]`. */
  corsOrigins: readonly string[];
  /** Addresses or networks of proxies whose `X-Forwarded-For` is believed; empty believes none. */
  trustedProxies: readonly string[];
  /** Null: nothing that needs an operator can be done over HTTP. */
  operatorToken: string | null;
  trust: TrustSettings;
  /** Frozen into the plan of each job at submit. */
  plan: PlanSettings;
  /** Jobs that may wait for their start before intake answers 429. */
  backlogLimit: number;
  /** Requests that one address may make in a minute; 0: as many as it likes. */
  requestsPerMinute: number;
  /** Failures of trust and signature that one address may cause in a minute, and one address with one key. */
  failuresPerMinute: { perAddress: number; perAddressAndKey: number };
}

export interface ListenSettings {
  /** `null`: every address of the machine, or loopback alone while trust is open. */
  host: string | null;
  /** 0 takes any free port. */
  port: number;
  /** `strict`: `port` or nothing. `fallback`: else the first free one of `range`. `ephemeral`: any free one. */
  strategy: 'strict' | 'fallback' | 'ephemeral';
  range: readonly [first: number, last: number];
  /** Where the address that was taken is written down, for scripts. */
  addressFile: string | null;
}

export interface TrustSettings {
  /** Take only specs of trusted keys, fresh and with a nonce. */
  enforce: boolean;
  /** Without `enforce`, serve more than loopback all the same. */
  allowOpen: boolean;
  /** JSON of the list; wins over the file. */
  keysJson: string | null;
  keysFile: string | null;
  /** 0 never reads the file again. */
  reloadMs: number;
  maxSkewMs: number;
  maxAgeMs: number;
}
