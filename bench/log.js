// How soon a pending entry has its proof, and how fast the sequencer drains a full outbox.
// npm run bench:log   (20 s; an own PostgreSQL, or BENCH_POSTGRES_URL as superuser)
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { generateLogKey } from '../dist/attestation/keys/log-key.js';
import { fixedLogKeyring } from '../dist/attestation/keys/log-keyring.js';
import { generateReceiptKey } from '../dist/attestation/keys/receipt-key.js';
import { fileGuard } from '../dist/attestation/log/guard.js';
import { openLog } from '../dist/attestation/log/open.js';
import { registerFirstReceiptKey } from '../dist/attestation/log/receipt-keys.js';
import { createLogReader } from '../dist/attestation/log/reader.js';
import { startSequencer } from '../dist/attestation/log/sequencer.js';
import { createLogger } from '../dist/observability/log.js';
import { createNotifier, createWakeups } from '../dist/store/notify.js';
import { createPool } from '../dist/store/pool.js';
import { percentile } from './support/measure.js';
import { benchDatabase, benchPostgres } from './support/postgres.js';
import { atMost, runProgram } from './support/program.js';

const LIMIT_MS = 180_000;
const SINGLES = 300;
const SINGLE_EVERY_MS = 20;
const BULK = 30_000;
const BULK_ROWS = 5_000;
const LEAF_BYTES = 600;
/** Issue bar: a proof within 100 ms of `attest`'s commit at low load. */
const PROOF_BAR_MS = 100;

await runProgram({ name: 'bench_log', limitMs: LIMIT_MS }, async ({ use, report, signal }) => {
  const server = use(await benchPostgres());
  const { url } = use(await benchDatabase(server));
  const pool = createPool({ databaseUrl: url, name: 'bench' });
  use({ [Symbol.asyncDispose]: () => pool.end() });
  const notifier = use(createNotifier(pool));
  const wakeups = use(await createWakeups(url));
  const log = await openLog(pool);
  const key = generateReceiptKey();
  await registerFirstReceiptKey(pool, log.logId, key);
  const reader = createLogReader(pool, log.logId);
  const sequencer = use(
    startSequencer({
      pool,
      databaseUrl: url,
      logId: log.logId,
      logKeys: fixedLogKeyring(generateLogKey()),
      notifier,
      wakeups,
      log: createLogger('bench', 'warn'),
      signal,
    }),
  );
  const untilSize = async (size) => {
    while (sequencer.status().size < size) await delay(5, undefined, { signal });
  };
  await untilSize(1);

  const times = [];
  for (let i = 0; i < SINGLES; i++) {
    const executionId = randomUUID();
    await insert(pool, log.logId, key.id, [executionId]);
    const committed = performance.now();
    notifier.notify('log');
    for (;;) {
      signal.throwIfAborted();
      const entry = await reader.entry({ executionId }).catch(() => undefined);
      if (entry !== undefined) {
        await reader.prove([entry.index], await reader.checkpoint());
        break;
      }
    }
    times.push(performance.now() - committed);
    await delay(SINGLE_EVERY_MS);
  }
  for (const [name, at] of [
    ['p50', 0.5],
    ['p95', 0.95],
    ['p99', 0.99],
  ]) {
    const value = percentile(times, at);
    report(`log_proof_after_commit_${name}`, value, 'ms', atMost(value, PROOF_BAR_MS));
  }

  for (let left = BULK; left > 0; left -= BULK_ROWS) {
    const count = Math.min(left, BULK_ROWS);
    await insert(
      pool,
      log.logId,
      key.id,
      Array.from({ length: count }, () => randomUUID()),
    );
  }
  const from = sequencer.status().size;
  const began = performance.now();
  notifier.notify('log');
  await untilSize(SINGLES + 1 + BULK);
  const entries = SINGLES + 1 + BULK - from;
  report('log_drain', entries / ((performance.now() - began) / 1_000), 'entries/s');
});

async function insert(pool, logId, keyId, ids) {
  await pool.query(
    `insert into log_pending (log_id, subject_kind, subject_id, version, leaf, key_id, execution_id)
     select $1, 'receipt', id, 1, leaf, $2, id::uuid from unnest($3::text[], $4::bytea[]) as p (id, leaf)`,
    [logId, keyId, ids, ids.map(() => randomBytes(LEAF_BYTES))],
  );
}
