/**
 * Fills a migrated, empty database with the rows that `jobs` jobs leave behind, made by SQL: nine of ten ended and in the
 * log, 100 running, a tenth waiting. Everything is linked as the product links it, tree and checkpoint of the log are
 * real; documents are shorter than real ones and signed by nobody.
 *   node bench/support/store-rows.js --url=postgres://… --jobs=1000000    (as superuser)
 */
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { generateLogKey } from '../../dist/attestation/keys/log-key.js';
import { nodeSha256 } from '../../dist/attestation/keys/node-verifiers.js';
import { generateReceiptKey } from '../../dist/attestation/keys/receipt-key.js';
import { appendPending } from '../../dist/attestation/log/append.js';
import { loadLog } from '../../dist/attestation/log/load.js';
import { openLog } from '../../dist/attestation/log/open.js';
import { publishHead } from '../../dist/attestation/log/publish.js';
import { registerFirstReceiptKey } from '../../dist/attestation/log/receipt-keys.js';
import { expandPlan } from '../../dist/domain/jobspec/expand.js';
import { parseJobSpec } from '../../dist/domain/jobspec/spec.js';
import { parseStrictJson } from '../../dist/domain/json/parse.js';
import { Frontier } from '../../dist/domain/log/frontier.js';
import { treeHash } from '../../dist/domain/log/hash.js';
import { createPool } from '../../dist/store/pool.js';
import { refillTables } from './refill.js';
import { generateKey, signedBody, spec } from './specs.js';
import { storeTables } from './store-tables.js';

/** Jobs that run: as many as a window admits, however many jobs there are. */
export const RUNNING = 100;
const JOBS_PER_KEY = 100;
/** Tables that are filled at once: one a core of a small machine. */
const SESSIONS = 2;
/** The plan is read by several at once, each from its beginning: rows keep their order. */
const SETTINGS = `set search_path = beacon; set synchronize_seqscans = off;
  set maintenance_work_mem = '512MB'; set work_mem = '256MB'`;
const HASHES_AT_ONCE = 50_000;

/** What is what among the jobs 1 … `jobs`: those that ended come first, then the running ones, then the waiting ones. */
export function storeShape(/** @type {number} */ jobs) {
  const waiting = Math.floor(jobs / 10);
  return { jobs, waiting, ended: jobs - waiting - RUNNING, keys: Math.ceil(jobs / JOBS_PER_KEY) };
}

/** The id of job `n`: in no order, as clients choose them. */
export const jobIdOf = (/** @type {number} */ n) =>
  `job-${createHash('md5').update(String(n)).digest('hex')}`;

/** The key that owns half of all jobs, and the `n`th of the others. */
export const keyOf = (/** @type {number} */ n) => createHash('sha256').update(`key ${n}`).digest('base64');

/** What stands for the CID of these bytes: as long as one, and as random. */
export const cidOf = (/** @type {Buffer | null} */ digest) =>
  digest === null ? '' : `bafkrei${digest.toString('hex').slice(0, 52)}`;

/**
 * @param {string} url as superuser
 * @param {{ jobs: number, say?: (text: string) => void, receiptKey?: object, logKey?: object }} options
 * @returns {Promise<{ logId: string, receiptKey: object, logKey: object, shape: ReturnType<typeof storeShape> }>}
 */
export async function fillStore(
  url,
  { jobs, say = () => undefined, receiptKey = generateReceiptKey(), logKey = generateLogKey() },
) {
  const shape = storeShape(jobs);
  const pool = createPool({ databaseUrl: url, name: 'bench' });
  const admins = Array.from(
    { length: SESSIONS },
    () => new pg.Client({ connectionString: url, application_name: 'beacon bench loader' }),
  );
  const [admin] = admins;
  try {
    const { logId, origin } = await openLog(pool);
    await registerFirstReceiptKey(pool, logId, receiptKey);
    await appendPending(pool, logId, await loadLog(pool, logId, undefined));

    for (const session of admins) {
      await session.connect();
      await session.query(SETTINGS);
    }
    await refillTables(admins, storeTables({ shape, logId, keyId: receiptKey.id, ...sample() }), say);
    await growTree(admin, logId, shape);
    await publishHead(pool, logId, await loadLog(pool, logId, undefined), [logKey.signerFor(origin)]);
    say('the tree of the log');
    await admin.query('vacuum analyze');
    await admin.query('checkpoint');
    return { logId, receiptKey, logKey, shape };
  } finally {
    for (const session of admins) await session.end();
    await pool.end();
  }
}

/** One signed spec, cut where its id stands, and its plan: all jobs ask the same. */
function sample() {
  const full = spec(1);
  const unsigned = {
    ...full,
    benchmark: { ...full.benchmark, description: 'What a benchmark says about itself.' },
  };
  const body = signedBody(unsigned, generateKey());
  const plan = expandPlan(parseJobSpec(parseStrictJson(body)), {
    backends: { '*': ['local'] },
    deadlineMs: 3_600_000,
    maxParallel: 10,
    attemptsPerRegion: 3,
  });
  return { body: body.toString().split(unsigned.id), plan: JSON.stringify(plan) };
}

/** Tiles and head for the entries that are there. */
async function growTree(admin, logId, shape) {
  const frontier = Frontier.empty(treeHash(nodeSha256));
  const size = 2 * shape.ended + 1;
  for (let from = 0; from < size; from += HASHES_AT_ONCE) {
    const { rows } = await admin.query(
      'select leaf_hash from log_entries where log_id = $1 and idx >= $2 and idx < $3 order by idx',
      [logId, from, from + HASHES_AT_ONCE],
    );
    const tiles = rows.flatMap((row) => frontier.append(row.leaf_hash));
    await admin.query(
      `insert into log_tiles (log_id, level, idx, root, hashes)
       select $1, * from unnest($2::int[], $3::bigint[], $4::bytea[], $5::bytea[])`,
      [
        logId,
        tiles.map((tile) => tile.level),
        tiles.map((tile) => tile.index),
        tiles.map((tile) => tile.root),
        tiles.map((tile) => tile.hashes),
      ],
    );
  }
  await admin.query('update log_state set size = $2, root = $3 where log_id = $1', [
    logId,
    size,
    frontier.root(),
  ]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const given = (name) => process.argv.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3);
  const [url, jobs] = [given('url'), Number(given('jobs'))];
  if (url === undefined || !(jobs >= 1_000))
    throw new Error('usage: --url=postgres://… --jobs=<1000 or more>');
  const began = performance.now();
  const say = (text) => console.log(`# ${((performance.now() - began) / 1_000).toFixed(0)} s: ${text}`);
  await fillStore(url, { jobs, say });
  say('done');
}
