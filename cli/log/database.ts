import path from 'node:path';
import type { KeySource } from '../../attestation/keys/key-file.ts';
import { readSettings } from '../../config/settings.ts';
import type { Values } from '../../config/variables.ts';
import { embeddedDatabaseUrl } from '../../embedded/database-url.ts';
import { readKeyEntryIndex } from '../../store/log-keys.ts';
import { findLog, LogStoreError, type LogHead } from '../../store/log-state.ts';
import { createNotifier } from '../../store/notify.ts';
import { createPool, type Pool, type PoolOptions } from '../../store/pool.ts';
import { KeyError } from '../../attestation/keys/error.ts';
import { setTimeout as delay } from 'node:timers/promises';
import type { Context } from '../context.ts';
import { CliError, codeOf, reasonOf } from '../failure.ts';

/** What a command on the log works with. */
export interface LogDesk {
  pool: Pool;
  databaseUrl: string;
  log: LogHead;
  /** Whether what is shown has to be cosigned first. */
  waits: boolean;
  keys: {
    receipt: KeySource;
    nextReceipt: KeySource;
    log: KeySource;
    nextLog: KeySource;
  };
  /** Where a key is kept that was taken out of use. */
  retired(name: 'receipt' | 'log', keyId: string): string;
}

/** Opens the database of the settings or of the stack: such commands ask no API. */
export async function withDatabase<T>(
  context: Context,
  work: (pool: Pool, settings: Values, databaseUrl: string) => Promise<T>,
  options: Pick<PoolOptions, 'role'> = {},
): Promise<T> {
  const settings = readSettings({ ...context.io.env, BEACON_STATE: context.stateDir });
  const databaseUrl = settings.DATABASE_URL ?? (await embeddedDatabaseUrl(context.stateDir));
  if (databaseUrl === null) {
    throw new CliError('not_here', `${context.stateDir} holds no stack, and DATABASE_URL is not set`, {
      next: 'run it where the keys are, with the settings of the relay',
    });
  }
  const pool = createPool({ databaseUrl, max: 2, name: 'command', ...options });
  try {
    return await work(pool, settings, databaseUrl);
  } catch (thrown) {
    throw told(thrown);
  } finally {
    await pool.end();
  }
}

/** Opens the log's own database. */
export function withLog<T>(
  context: Context,
  work: (desk: LogDesk) => Promise<T>,
  options: Pick<PoolOptions, 'role'> = {},
): Promise<T> {
  const logged = async (pool: Pool, settings: Values, databaseUrl: string): Promise<T> => {
    const log = await findLog(pool);
    if (log === undefined) {
      throw new CliError('not_found', 'this database has no log yet', {
        next: 'a worker or relay makes it at its first start',
      });
    }
    const waits = settings.LOG_WITNESS_MODE === 'wait';
    return work({ pool, databaseUrl, log, waits, ...keyPlaces(context.stateDir, settings) });
  };
  return withDatabase(context, logged, options);
}

function keyPlaces(stateDir: string, settings: Values): Pick<LogDesk, 'keys' | 'retired'> {
  const file = (name: string): string => path.join(stateDir, 'keys', name);
  const source = (pem: string | null, name: string): KeySource => ({
    pem: pem ?? undefined,
    file: file(name),
  });
  return {
    keys: {
      receipt: source(settings.BEACON_RECEIPT_KEY_PEM, 'receipt.pem'),
      nextReceipt: source(null, 'receipt.next.pem'),
      log: source(settings.BEACON_LOG_KEY_PEM, 'log.pem'),
      nextLog: source(settings.BEACON_LOG_NEXT_KEY_PEM, 'log.next.pem'),
    },
    retired: (name, keyId) => file(`${name}.${keyId}.pem`),
  };
}

/** Whether a key comes from the environment, so that its file is not ours to exchange. */
export const isGiven = ({ pem }: KeySource): boolean => pem !== undefined && pem !== '';

const TAKEN_UP_MS = 30_000;
const LOOK_EVERY_MS = 50;

/** Waits until the entry of a key stands in the log; its place. */
export async function untilLogged(
  context: Context,
  { pool, log }: LogDesk,
  keyId: string,
  version: 1 | 2,
  hint: string,
): Promise<number> {
  await using notifier = createNotifier(pool);
  notifier.notify('log');
  const deadline = performance.now() + TAKEN_UP_MS;
  for (;;) {
    const index = await readKeyEntryIndex(pool, log.logId, keyId, version);
    if (index !== undefined) return index;
    if (context.io.signal.aborted)
      throw new CliError('interrupted', 'interrupted; the entry stays pending', {
        cause: context.io.signal.reason,
        next: 'the same command goes on with it',
      });
    if (performance.now() > deadline) {
      throw new CliError(
        'timed_out',
        `no relay has put the entry into the log within ${TAKEN_UP_MS / 1000} s`,
        {
          next: `it stays pending; ${hint}, then run the same command again`,
        },
      );
    }
    await delay(LOOK_EVERY_MS);
  }
}

/** What the log or a key refuses, as the command says it. */
function told(thrown: unknown): unknown {
  if (thrown instanceof LogStoreError && thrown.code === 'key_refused')
    return new CliError('refused', thrown.message, { cause: thrown, next: '`beacon log keys` shows them' });
  if (thrown instanceof KeyError) return new CliError('key_invalid', thrown.message, { cause: thrown });
  if (codeOf(thrown) === 'ECONNREFUSED')
    return new CliError('unreachable', `cannot reach PostgreSQL: ${reasonOf(thrown)}`, {
      next: 'is the stack up?',
      cause: thrown,
    });
  return thrown;
}
