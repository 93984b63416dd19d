import { createRequire } from 'node:module';
import type * as Sdk from '@golem-sdk/golem-js';
import type { Yagna } from './yagna.ts';

/** The CommonJS build: in the other one downloads of data end the process. */
const sdk = createRequire(import.meta.url)('@golem-sdk/golem-js') as typeof Sdk;

const quiet: Sdk.Logger = {
  child: () => quiet,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** The unmodified SDK, connected to an emulator. */
export async function connectSdk(yagna: Yagna): Promise<Sdk.GolemNetwork> {
  const network = new sdk.GolemNetwork({
    api: { key: yagna.key, url: yagna.url },
    payment: { network: 'hoodi' },
    logger: quiet,
  });
  await network.connect();
  return network;
}

/** An order of the emulator's own image. */
export function orderFrom(yagna: Yagna, more: Partial<Sdk.MarketOrderSpec['demand']['workload']> = {}) {
  const image = yagna.images[0]!;
  return {
    demand: { workload: { imageUrl: image.url, imageHash: image.sha3, ...more } },
    market: {
      rentHours: 0.5,
      pricing: {
        model: 'linear' as const,
        maxStartPrice: 1,
        maxCpuPerHourPrice: 1,
        maxEnvPerHourPrice: 1,
      },
    },
  };
}
