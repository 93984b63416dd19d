/** Beacon as it runs in production, with a backend that does nothing, and raw Temporal beside it on the same server. */
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { benchDatabase } from './postgres.js';
import { startBeacon, startChild } from './processes.js';

const POOL = '10';
const SETTLE_MS = 60_000;
const RUN_MS = 900_000;
/** Attempts of the no-op backend at once, and raw activities: never the bound. */
export const PARALLEL = 32;

const supportFile = (name) => fileURLToPath(new URL(name, import.meta.url));

/**
 * API, relay, worker, raw worker and the load that drives them, on `temporal` and a fresh database of `server`.
 *
 * @param {{ adminUrl: string, folder: string }} server
 * @param {{ address: string }} temporal
 */
export async function startStack(server, temporal, signal) {
  const { folder } = server;
  const parts = [];
  const use = (part) => (parts.push(part), part);
  const stop = async () => {
    for (let part = parts.pop(); part !== undefined; part = parts.pop()) await part[Symbol.asyncDispose]();
  };
  try {
    const database = use(await benchDatabase(server));
    const env = {
      DATABASE_URL: database.url,
      DATABASE_POOL: POOL,
      TEMPORAL_ADDRESS: temporal.address,
      HTTP_PORT: '0',
      BACKLOG_LIMIT: '10000000',
      LOCAL_CONCURRENCY: String(PARALLEL),
    };
    const relay = use(await startBeacon('relay', { folder, env }));
    const api = use(await startBeacon('serve', { folder, env }));
    const worker = use(startBeaconWorker(folder, env));
    const rawWorker = use(
      startChild(supportFile('raw-worker.js'), {
        name: 'raw-worker',
        folder,
        env: { TEMPORAL_ADDRESS: temporal.address, PARALLEL: String(PARALLEL) },
      }),
    );
    const load = use(startChild(supportFile('job-load.js'), { name: 'job-load', folder }));
    await Promise.all([worker, rawWorker].map((child) => child.next((message) => message.ready)));
    load.send({ connect: { temporal: temporal.address, api: api.url } });
    await load.next((message) => message.connected);

    return {
      query: database.query,
      processes: { api, relay, worker, rawWorker, load },
      /** Runs one side of the load (`job-load.js`) and answers what it saw. */
      async run(side, options) {
        signal.throwIfAborted();
        load.send({ [side]: options });
        const result = await load.next((message) => message.done, RUN_MS);
        if (result.error !== undefined) throw new Error(`${side}: ${result.error}`);
        return result;
      },
      async prepare(count, executions = 1) {
        load.send({ prepare: count, executions });
        await load.next((message) => message.prepared !== undefined, RUN_MS);
      },
      /** Until nothing is under way any more, so that one side does not work during the other's time. */
      async settle() {
        const until = performance.now() + SETTLE_MS;
        for (;;) {
          const [{ left }] = await database.query(
            `select (select count(*) from beacon.jobs where state in ('accepted', 'running'))::int
                    + (select count(*) from beacon.log_pending)::int
                    + (select count(*) from beacon.events where position is null)::int as left`,
          );
          if (left === 0) return;
          if (performance.now() > until) throw new Error(`${left} things are still under way`);
          await delay(100, undefined, { signal });
        }
      },
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function startBeaconWorker(folder, env) {
  return startChild(supportFile('noop-worker.js'), {
    name: 'worker',
    folder,
    env: { BEACON_STATE: `${folder}/state`, LOG_LEVEL: 'warn', ...env },
  });
}
