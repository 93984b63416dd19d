// How soon a pending entry has its proof, and how fast the sequencer drains a full outbox.
// BENCH_POSTGRES_URL=postgres://… node bench/log.js   (after `npm run build`; a superuser; makes and drops a database; 20 s)
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { generateLogKey } from '../dist/attestation/keys/log-key.js';
import { generateReceiptKey } from '../dist/attestation/keys/receipt-key.js';
import { fileGuard } from '../dist/attestation/log/guard.js';
import { openLog, registerReceiptKey } from '../dist/attestation/log/open.js';
import { createLogReader } from '../dist/attestation/log/reader.js';
import { startSequencer } from '../dist/attestation/log/sequencer.js';
import { createLogger } from '../dist/observability/log.js';
import { migrate } from '../dist/store/migrate.js';
import { createNotifier, createWakeups } from '../dist/store/notify.js';
import { createPool } from '../dist/store/pool.js';

const SINGLES = 300;
const SINGLE_EVERY_MS = 20;
const BULK = 30_000;
const LEAF_BYTES = 600;
/** Issue bar: a proof within 100 ms of `attest`'s commit at low load. */
const PROOF_BAR_MS = 100;

const adminUrl = process.env.BENCH_POSTGRES_URL;
if (!adminUrl) throw new Error('BENCH_POSTGRES_URL names no PostgreSQL');
const database = `bench_log_${randomBytes(4).toString('hex')}`;
const url = Object.assign(new URL(adminUrl), { pathname: `/${database}` }).href;

async function asAdmin(sql) {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

await asAdmin(`create database ${database}`);
let missed = false;
try {
  await migrate(url);
  const pool = createPool({ databaseUrl: url, name: 'bench' });
  const notifier = createNotifier(pool);
  const wakeups = await createWakeups(url);
  const log = await openLog(pool);
  const key = generateReceiptKey();
  await registerReceiptKey(pool, log.logId, key);
  const reader = createLogReader(pool, log.logId);
  const folder = await mkdtemp(path.join(os.tmpdir(), 'beacon-bench-'));
  const sequencer = startSequencer({
    pool,
    databaseUrl: url,
    logId: log.logId,
    logKey: generateLogKey(),
    guard: fileGuard(path.join(folder, 'log-guard.json')),
    notifier,
    wakeups,
    log: createLogger('bench', 'warn'),
  });
  while (sequencer.status().size !== 1) await delay(5);

  const [{ version }] = await asAdmin('show server_version').then((rows) => [
    { version: rows[0].server_version },
  ]);
  console.log(`node ${process.version}, PostgreSQL ${version}, ${os.cpus().length} × ${os.cpus()[0].model}`);

  const latencies = [];
  for (let i = 0; i < SINGLES; i++) {
    const executionId = randomUUID();
    await insert(pool, log.logId, key.id, [executionId]);
    const committed = performance.now();
    notifier.notify('log');
    for (;;) {
      const entry = await reader.entry({ executionId }).catch(() => undefined);
      if (entry !== undefined) {
        await reader.prove([entry.index], await reader.checkpoint());
        break;
      }
    }
    latencies.push(performance.now() - committed);
    await delay(SINGLE_EVERY_MS);
  }
  latencies.sort((a, b) => a - b);
  for (const [name, at] of [
    ['p50', 0.5],
    ['p95', 0.95],
    ['p99', 0.99],
  ]) {
    report(`log_proof_after_commit_${name}`, latencies[Math.floor(at * SINGLES)], 'ms', PROOF_BAR_MS);
  }

  for (let left = BULK; left > 0; left -= 5_000) {
    await insert(
      pool,
      log.logId,
      key.id,
      Array.from({ length: Math.min(left, 5_000) }, () => randomUUID()),
    );
  }
  const from = sequencer.status().size;
  const began = performance.now();
  notifier.notify('log');
  while (sequencer.status().size < SINGLES + 1 + BULK) await delay(5);
  const entries = SINGLES + 1 + BULK - from;
  report('log_drain', entries / ((performance.now() - began) / 1_000), 'entries/s');

  await sequencer[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
  await notifier[Symbol.asyncDispose]();
  await wakeups[Symbol.asyncDispose]();
  await pool.end();
} finally {
  await asAdmin(`drop database ${database} with (force)`);
}
if (missed) process.exitCode = 1;

async function insert(pool, logId, keyId, ids) {
  await pool.query(
    `insert into log_pending (log_id, subject_kind, subject_id, version, leaf, key_id, execution_id)
     select $1, 'receipt', id, 1, leaf, $2, id::uuid from unnest($3::text[], $4::bytea[]) as p (id, leaf)`,
    [logId, keyId, ids, ids.map(() => randomBytes(LEAF_BYTES))],
  );
}

function report(name, value, unit, bar = null) {
  const ok = bar === null || value <= bar;
  missed ||= !ok;
  console.log(
    JSON.stringify({ name, value: Math.round(value * 100) / 100, unit, peer: null, ratio: null, bar, ok }),
  );
}
