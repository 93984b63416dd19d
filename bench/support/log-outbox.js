/** For `bench:log`: how soon a pending entry has its proof, and how fast the sequencer drains a full outbox. */
import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { openSequencer } from './log-sequencer.js';

const SINGLES = 300;
const SINGLE_EVERY_MS = 20;
const BULK = 30_000;
const BULK_ROWS = 5_000;

/**
 * @param {{ url: string, folder: string, leafBytes: number, signal: AbortSignal, use: <T extends AsyncDisposable>(part: T) => T }} options
 * `url`: a database of its own.
 * @returns {Promise<{ proofMs: number[], drained: number }>} `drained`: entries a second.
 */
export async function outboxFigures({ url, folder, leafBytes, signal, use }) {
  const { pool, logId, keyId, reader, notifier, size } = use(
    await openSequencer({ databaseUrl: url, folder }),
  );
  const untilSize = async (wanted) => {
    while (size() < wanted) await delay(5, undefined, { signal });
  };
  const insert = (ids) =>
    pool.query(
      `insert into log_pending (log_id, subject_kind, subject_id, version, leaf, key_id, execution_id)
       select $1, 'receipt', id, 1, leaf, $2, id::uuid from unnest($3::text[], $4::bytea[]) as p (id, leaf)`,
      [logId, keyId, ids, ids.map(() => randomBytes(leafBytes))],
    );

  const proofMs = [];
  for (let i = 0; i < SINGLES; i++) {
    const executionId = randomUUID();
    await insert([executionId]);
    const committed = performance.now();
    notifier.notify('log');
    for (;;) {
      signal.throwIfAborted();
      const entry = await reader.entry({ executionId }).catch(() => undefined);
      if (entry === undefined) continue;
      await reader.prove([entry.index], await reader.checkpoint());
      break;
    }
    proofMs.push(performance.now() - committed);
    await delay(SINGLE_EVERY_MS);
  }

  for (let left = BULK; left > 0; left -= BULK_ROWS)
    await insert(Array.from({ length: Math.min(left, BULK_ROWS) }, () => randomUUID()));
  const from = size();
  const began = performance.now();
  notifier.notify('log');
  await untilSize(SINGLES + 1 + BULK);
  const drained = (SINGLES + 1 + BULK - from) / ((performance.now() - began) / 1_000);
  return { proofMs, drained };
}
