import {
  createGolemBackend,
  golemSettings,
  type GolemBackend,
  type GolemSettings,
} from '../../backends/golem/index.ts';
import { createRegionEvidence, type RegionEvidenceSource } from '../../backends/golem/region-evidence.ts';
import type { Negotiated } from '../../backends/backend.ts';
import { runAttempt, newWork, type AttemptOptions, type Told } from '../backends/stand.ts';
import type { Yagna } from '../yagna/yagna.ts';

/** What jobs of the tests name as their image. */
export const IMAGE = 'builtin:worker';

/** Nobody is probed. */
export const noEvidence: RegionEvidenceSource = createRegionEvidence({
  nonces: { expect: () => Promise.resolve(), seen: () => Promise.resolve(undefined) },
  echoUrl: null,
  geo: null,
});

type Given = Partial<Omit<GolemSettings, 'waits'>> & { waits?: Partial<GolemSettings['waits']> };

/** Settings for the emulator, with waits short enough for tests. */
export function emulatorSettings(
  yagna: Pick<Yagna, 'url' | 'key' | 'images'>,
  given: Given = {},
): GolemSettings {
  const image = yagna.images[0]!;
  return golemSettings({
    yagnaUrl: yagna.url,
    apiKey: yagna.key,
    images: { [IMAGE]: { url: image.url, sha3_224: image.sha3, volume: '/golem/work' } },
    ...given,
    waits: {
      // What is there ends a look at once.
      strictMs: 5_000,
      relaxedMs: 500,
      quietMs: 50,
      shareMs: 1_000,
      agreeMs: 10_000,
      approvalMs: 3_000,
      deployMs: 10_000,
      collectMs: 3_000,
      invoiceMs: 3_000,
      ...given.waits,
    },
  });
}

export const silentLog = { debug: () => undefined, info: () => undefined, warn: () => undefined };

export function golemOn(yagna: Yagna, given: Given = {}, evidence = noEvidence): GolemBackend {
  return createGolemBackend(emulatorSettings(yagna, given), { log: silentLog, evidence });
}

export interface GolemTold extends Told {
  negotiated: Negotiated;
}

/** Looks, and runs one attempt with what was found. */
export async function runOnGolem(
  backend: GolemBackend,
  command: string[],
  options: AttemptOptions = {},
): Promise<GolemTold> {
  const work = newWork({ image: IMAGE, command, region: 'US', ...options.work });
  const negotiated = await backend.negotiate(work, new AbortController().signal);
  const told = await runAttempt(backend, { ...work, negotiated }, options);
  return { ...told, negotiated };
}
