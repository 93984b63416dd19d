import pg from 'pg';
import { pause } from '../domain/pause.ts';

/** How often a standby asks whether the lock is free. */
const TRY_EVERY_MS = 500;
const CONNECT_TIMEOUT_MS = 5_000;
/** A leader whose connection is cut without a word notices within about this time (TCP keep-alive). */
const KEEP_ALIVE_DELAY_MS = 10_000;

/** A leader's time in office. It ends by disposing or when the connection is lost: then `lost` is aborted. */
export interface Leadership extends AsyncDisposable {
  readonly lost: AbortSignal;
}

/**
 * Waits until this process alone leads the log: a session lock on a connection of its own. It only keeps standbys idle;
 * what makes two leaders harmless is the comparison of the log's head in every batch. Undefined when aborted.
 */
export async function leadLog(
  databaseUrl: string,
  logId: string,
  signal: AbortSignal,
): Promise<Leadership | undefined> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    application_name: 'beacon log leader',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
  });
  const lost = new AbortController();
  client.on('error', () => lost.abort());
  client.on('end', () => lost.abort());
  const close = () => client.end().catch(() => undefined);
  try {
    await client.connect();
    while (!signal.aborted && !lost.signal.aborted) {
      const { rows } = await client.query<{ leads: boolean }>(
        'select pg_try_advisory_lock(hashtextextended($1, 0)) as leads',
        [`beacon log ${logId}`],
      );
      if (rows[0]?.leads === true) return { lost: lost.signal, [Symbol.asyncDispose]: close };
      await pause(TRY_EVERY_MS, AbortSignal.any([signal, lost.signal]));
    }
  } catch (error) {
    await close();
    throw error;
  }
  await close();
  if (!signal.aborted) throw new Error('the connection that waits for the lead of the log was lost');
  return undefined;
}
