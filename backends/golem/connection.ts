/**
 * The connection to yagna that executions share. A GolemNetwork keeps every proposal that it ever saw, so after a number
 * of executions a new one takes the next ones while the old one drains: at most two at a time, unless executions last.
 */
import type { GolemLog } from './log.ts';
import { sdkLogger } from './log.ts';
import { isAway } from './away.ts';
import { leanActivities } from './activities.ts';
import { hardenedYagna, type HardenedOptions, type Yagna } from './hardened-yagna.ts';
import { createPayments, type Payments } from './payments.ts';
import type { Rest } from './rest.ts';
import { guardAgainst, loadSdk, type Golem } from './sdk.ts';
import { DRIVER, tokenOf, type GolemSettings } from './settings.ts';
import { createStorage, type Storage } from './storage.ts';

const CONNECT_MS = 15_000;
/** Earlier daemons cannot work on the test network of today. */
const HOODI_SINCE = [0, 17, 4];
/** Outputs, logs and their tar. */
const MAX_FILE_BYTES = 200 * 1024 * 1024;

export interface Connection {
  glm: Golem.GolemNetwork;
  yagna: Yagna;
  storage: Storage;
  payments: Payments;
  /** Of the wallet that pays. */
  identity: string;
}

export interface HeldConnection extends Connection, Disposable {}

/** Ways to yagna that are closed while it is away. */
export interface Guarded extends Pick<HardenedOptions, 'alive' | 'guard'> {
  rest: Rest;
}

export interface Connections extends AsyncDisposable {
  /** `counts`: an execution, which brings the next GolemNetwork nearer. */
  take(counts: boolean): Promise<HeldConnection>;
}

export class YagnaRefused extends Error {
  override name = 'YagnaRefused';
}

interface Generation {
  connected: Promise<Connection>;
  users: number;
  executions: number;
}

export function createConnections(
  settings: GolemSettings,
  { rest, alive, guard }: Guarded,
  log: GolemLog,
): Connections {
  let current: Generation | undefined;
  const draining = new Set<Promise<void>>();

  const close = (generation: Generation): void => {
    const closing = generation.connected
      .then(({ glm, payments }) => {
        payments.stop();
        return within(CONNECT_MS, glm.disconnect());
      })
      .catch((error: unknown) => log.warn({ err: error }, 'a connection to yagna did not close'))
      .finally(() => draining.delete(closing));
    draining.add(closing);
  };
  const leave = (generation: Generation): void => {
    if (--generation.users === 0 && generation !== current) close(generation);
  };

  return {
    async take(counts) {
      if (current !== undefined && current.executions >= settings.executionsPerNetwork) {
        const old = current;
        current = undefined;
        if (old.users === 0) close(old);
      }
      const generation = (current ??= {
        connected: connect(settings, { rest, alive, guard }, log),
        users: 0,
        executions: 0,
      });
      generation.users++;
      if (counts) generation.executions++;
      try {
        const connection = await generation.connected;
        let left = false;
        return {
          ...connection,
          [Symbol.dispose]() {
            if (!left) leave(generation);
            left = true;
          },
        };
      } catch (error) {
        generation.users--;
        if (current === generation) current = undefined;
        throw error;
      }
    },
    async [Symbol.asyncDispose]() {
      const last = current;
      current = undefined;
      if (last !== undefined) close(last);
      await Promise.all(draining);
    },
  };
}

async function connect(
  settings: GolemSettings,
  { rest, alive, guard }: Guarded,
  log: GolemLog,
): Promise<Connection> {
  // Before the first request: on a busy machine it takes so long that yagna closes what was connected before.
  const sdk = loadSdk();
  const [version, identity] = await Promise.all([rest.version(), rest.identity()]);
  if (settings.network === 'hoodi' && isBefore(version, HOODI_SINCE))
    throw new YagnaRefused(
      `yagna ${version} is too old for hoodi: it must be ${HOODI_SINCE.join('.')} or later`,
    );
  guardAgainst(log);
  const logger = sdkLogger(log);
  const { yagnaUrl, apiKey, network } = settings;
  const yagna = hardenedYagna(sdk, { yagnaUrl, apiKey, logger, awayMs: settings.waits.awayMs, alive, guard });
  const storage = createStorage(yagna, { yagnaUrl, apiKey, identity, maxBytes: MAX_FILE_BYTES });
  const glm = new sdk.GolemNetwork({
    logger,
    api: { key: apiKey, url: yagnaUrl },
    payment: { network, driver: DRIVER, token: tokenOf(network) },
    override: { yagna, storageProvider: storage, ...leanActivities(sdk, yagna) },
  });
  // In the SDK one document that cannot be fetched ends all payments of the process; ours are in payments.ts.
  (glm.services.paymentApi as { connect(): Promise<void> }).connect = () => Promise.resolve();
  const open = (): Promise<void> => within(CONNECT_MS, glm.connect());
  // Yagna answered a moment ago: it was a connection that it had closed as idle while this process was busy.
  await open().catch((error: unknown) => (isAway(error) ? open() : Promise.reject(error as Error)));
  const payments = createPayments(yagna, rest, { log, awayMs: settings.waits.awayMs });
  log.info({ yagna: version, network }, 'connected to yagna');
  return { glm, yagna, storage, payments, identity };
}

function isBefore(version: string, least: number[]): boolean {
  const parts = version.split(/[.-]/).map(Number);
  for (const [at, wanted] of least.entries()) {
    const part = parts[at] ?? 0;
    if (part !== wanted) return part < wanted;
  }
  return false;
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer from yagna in ${ms} ms`)), ms);
  });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
