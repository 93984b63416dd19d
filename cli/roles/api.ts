import { startApi } from '../../api/server.ts';
import { yagnaProbe } from '../../api/routes/service/breakers.ts';
import { transparencyLogProbe } from '../../api/routes/service/log-probe.ts';
import type { ApiSettings } from '../../api/settings.ts';
import { planSettings } from '../../config/plan.ts';
import type { Values } from '../../config/variables.ts';
import type { Log } from '../../observability/log.ts';
import { askDatabase } from '../../store/alive.ts';
import { composeProcess, type Role } from '../../worker/process.ts';
import { createTemporalProbe } from '../../worker/temporal.ts';
import { software } from '../../config/software.ts';

const MINUTE_MS = 60_000;

/** `beacon serve`: the API with its feed. */
export async function startApiRole(settings: Values, log: Log): Promise<Role & { url: string }> {
  const process = await composeProcess('api', settings, log);
  try {
    const { pool, notifier, wakeups, events, renderMetrics } = process;
    const temporal =
      settings.TEMPORAL_ADDRESS === null
        ? undefined
        : process.use(createTemporalProbe(settings.TEMPORAL_ADDRESS));
    const api = process.use(
      await startApi({
        settings: apiSettings(settings),
        version: software.version,
        pool,
        notifier,
        wakeups,
        log,
        events,
        probes: [
          { name: 'database', required: true, check: () => askDatabase(pool) },
          ...(temporal === undefined
            ? []
            : [{ name: 'temporal', required: false, check: () => temporal.check() }]),
          transparencyLogProbe(pool),
          yagnaProbe(pool),
        ],
        renderMetrics,
        feed: { maxClients: settings.FEED_CLIENTS, maxClientsPerAddress: settings.FEED_CLIENTS_PER_IP },
      }),
    );
    return { ...process.role, url: api.address };
  } catch (error) {
    await process.role[Symbol.asyncDispose]();
    throw error;
  }
}

function apiSettings(settings: Values): ApiSettings {
  return {
    listen: {
      ...settings.HTTP_PORT,
      strategy: settings.PORT_STRATEGY,
      range: settings.PORT_RANGE,
      addressFile: settings.RUNNER_HTTP_ADDR_FILE,
    },
    allowedHosts: settings.ALLOWED_HOSTS,
    corsOrigins: settings.CORS_ORIGINS,
    trustedProxies: settings.TRUSTED_PROXIES,
    operatorToken: settings.ADMIN_TOKEN,
    trust: {
      enforce: settings.TRUST_ENFORCE,
      allowOpen: settings.ALLOW_OPEN_TRUST,
      keysJson: settings.TRUSTED_KEYS_JSON,
      keysFile: settings.TRUSTED_KEYS_FILE,
      reloadMs: settings.TRUSTED_KEYS_RELOAD_SECONDS * 1_000,
      maxSkewMs: settings.TIMESTAMP_MAX_SKEW_MINUTES * MINUTE_MS,
      maxAgeMs: settings.TIMESTAMP_MAX_AGE_MINUTES * MINUTE_MS,
    },
    plan: planSettings(settings),
    backlogLimit: settings.BACKLOG_LIMIT,
    failuresPerMinute: {
      perAddress: settings.FAILURES_PER_IP,
      perAddressAndKey: settings.FAILURES_PER_IP_AND_KEY,
    },
    requestsPerMinute: settings.RATE_LIMIT_PER_IP,
  };
}
