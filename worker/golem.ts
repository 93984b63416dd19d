import type { Books } from '../activities/sweep.ts';
import { openGeoTable } from '../backends/golem/geoip.ts';
import type { GolemBackend } from '../backends/golem/index.ts';
import { createRegionEvidence } from '../backends/golem/region-evidence.ts';
import { SettingsError } from '../config/settings.ts';
import type { Values } from '../config/variables.ts';
import type { Log } from '../observability/log.ts';
import type { Pool } from '../store/pool.ts';
import { expectProbe, findProbe } from '../store/region-probes.ts';

/** The Golem backend, loaded only here: a worker that does not serve it never pays for it. */
export async function openGolem(
  settings: Values,
  pool: Pool,
  log: Log,
): Promise<{ backend: GolemBackend; books: Books }> {
  const apiKey = settings.GOLEM_API_KEY;
  if (apiKey === null) throw new SettingsError('GOLEM_API_KEY is not set: the queue backend-golem needs it');
  const { createGolemBackend, golemSettings } = await import('../backends/golem/index.ts');
  const evidence = createRegionEvidence({
    nonces: {
      expect: (nonce) => expectProbe(pool, nonce),
      seen: (sha256) => findProbe(pool, sha256),
    },
    echoUrl: settings.GOLEM_ECHO_URL,
    geo: settings.GEOIP_DATABASE === null ? null : openGeoTable(settings.GEOIP_DATABASE),
  });
  const { golemBooks } = await import('./golem-books.ts');
  const golem = golemSettings({
    yagnaUrl: settings.YAGNA_URL,
    apiKey,
    network: settings.GOLEM_NETWORK,
    subnet: settings.GOLEM_SUBNET,
    images: settings.GOLEM_IMAGES,
    registryUrl: settings.GOLEM_REGISTRY_URL,
    regionSubnets: settings.GOLEM_REGION_SUBNETS,
    regionLists: settings.GOLEM_REGION_PROVIDERS,
    regionPolicy: settings.GOLEM_REGION_POLICY,
    echoUrl: settings.GOLEM_ECHO_URL,
    caps: {
      start: settings.GOLEM_MAX_START_PRICE,
      cpuHour: settings.GOLEM_MAX_CPU_HOUR_PRICE,
      envHour: settings.GOLEM_MAX_HOUR_PRICE,
      minute: settings.GOLEM_MAX_MINUTE_PRICE,
      total: settings.GOLEM_MAX_TOTAL_PRICE,
    },
    negotiations: settings.GOLEM_NEGOTIATIONS,
  });
  const backend = createGolemBackend(golem, { log, evidence });
  return { backend, books: golemBooks(golem, backend.breaker) };
}
