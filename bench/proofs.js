// How long an inclusion proof takes in a small and in a large log, what the tiles take on disk, and whether the memory of
// the sequencer grows with the log.
// npm run bench:proofs   (-- --proofs, --memory or --beside: only that; --full: five times the appends, --appends=<n>: so many)
// Beside intake: what proofs cost those who submit jobs, on the whole stack.
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { nodeSha256 } from '../dist/attestation/keys/node-verifiers.js';
import { createLogReader } from '../dist/attestation/log/reader.js';
import { treeHash } from '../dist/domain/log/hash.js';
import { verifyInclusion } from '../dist/domain/log/proof.js';
import { createPool } from '../dist/store/pool.js';
import { median, percentile, residentMib } from './support/measure.js';
import { benchDatabase, benchPostgres } from './support/postgres.js';
import { startChild } from './support/processes.js';
import { atMost, runProgram } from './support/program.js';
import { measureBeside } from './support/proofs-beside.js';
import { loadTiles } from './support/tile-loader.js';

const LIMIT_MS = 900_000;
const FULL_LIMIT_MS = 3_600_000;
const SMALL = 1e5;
const LARGE = 1e7;
const ASKED = 1e4;
const WARM = 500;
const APPENDS = 1e6;
const APPENDS_FULL = 5e6;
/** Pending entries of one statement, and how many wait at most. */
const LOT = 10_000;
const AHEAD = 2 * LOT;
const LEAF_BYTES = 600;
/** Bars. */
const GROWTH_BAR = 2;
const TILE_BYTES_BAR = 40;
const MEMORY_BAR = 0.1;
/** After these shares of the appends the heap is looked at as a full collection leaves it. */
const COLLECTED = [0.1, 0.4, 0.7, 1];

const { values: wanted } = parseArgs({
  options: {
    proofs: { type: 'boolean' },
    memory: { type: 'boolean' },
    beside: { type: 'boolean' },
    full: { type: 'boolean' },
    appends: { type: 'string' },
  },
});
const isAll = wanted.proofs !== true && wanted.memory !== true && wanted.beside !== true;
const hash = treeHash(nodeSha256);

await runProgram(
  { name: 'bench_proofs', limitMs: wanted.full === true ? FULL_LIMIT_MS : LIMIT_MS },
  async (program) => {
    const server = program.use(await benchPostgres());
    if (isAll || wanted.proofs === true) await measureProofs(program, server);
    if (isAll || wanted.memory === true) await measureMemory(program, server);
    if (isAll || wanted.beside === true) await measureBeside(program, server);
  },
);

async function measureProofs({ use, report, say, signal }, server) {
  const logs = [];
  for (const size of [SMALL, LARGE]) {
    const { url, query } = use(await benchDatabase(server));
    const began = performance.now();
    const loaded = await loadTiles({ url, size, asked: ASKED });
    say(`${size} entries: tiles built in ${((performance.now() - began) / 1_000).toFixed(0)} s`);
    await query('vacuum analyze beacon.log_tiles, beacon.log_entries');
    const [{ bytes }] = await query(`select pg_total_relation_size('beacon.log_tiles')::float8 as bytes`);
    const pool = createPool({ databaseUrl: url, name: 'bench' });
    use({ [Symbol.asyncDispose]: () => pool.end() });
    logs.push({ ...loaded, size, bytes, reader: createLogReader(pool, loaded.logId), times: [] });
  }
  await server.query('checkpoint');

  let wrong = 0;
  const prove = async ({ reader, root, size, times }, { index, executionId }) => {
    const began = performance.now();
    const entry = await reader.entry({ executionId });
    const checkpoint = await reader.checkpoint();
    const [proof] = await reader.prove([entry.index], checkpoint);
    times.push(performance.now() - began);
    const claim = { index, size, leafHash: entry.leafHash, proof: proof.hashes };
    if (entry.index !== index || !verifyInclusion(claim, root, hash)) wrong++;
  };
  for (const log of logs) for (const one of log.asked.slice(0, WARM)) await prove(log, one);
  for (const log of logs) log.times.length = 0;
  // By turns, so that what else the machine does meets both alike.
  for (let i = 0; i < ASKED; i++) {
    signal.throwIfAborted();
    for (const log of logs) await prove(log, log.asked[i]);
  }
  const [small, large] = logs;
  for (const [name, at] of [
    ['p50', 0.5],
    ['p99', 0.99],
  ]) {
    const [before, after] = [percentile(small.times, at), percentile(large.times, at)];
    const ratio = after / before;
    const bar = name === 'p99' ? { bar: GROWTH_BAR, ok: ratio < GROWTH_BAR } : {};
    report(`inclusion_proof_${name}`, after, 'ms', { peer: before, ratio, ...bar });
  }
  report('inclusion_proofs_wrong', wrong, 'proofs', atMost(wrong, 0));
  const perLeaf = large.bytes / large.size;
  report('tile_bytes', perLeaf, 'bytes/leaf', atMost(perLeaf, TILE_BYTES_BAR));
}

async function measureMemory({ use, report, say, signal }, server) {
  const appends = Number(wanted.appends ?? (wanted.full === true ? APPENDS_FULL : APPENDS));
  const { url } = use(await benchDatabase(server));
  const file = fileURLToPath(new URL('./support/sequencer-process.js', import.meta.url));
  const child = use(startChild(file, { name: 'sequencer', folder: server.folder }));
  child.send({ start: { databaseUrl: url, folder: server.folder } });
  const { logId, keyId } = await child.next((message) => message.ready === true);
  const pool = createPool({ databaseUrl: url, name: 'bench' });
  use({ [Symbol.asyncDispose]: () => pool.end() });
  const until = async (size) => {
    for (;;) {
      const { rows } = await pool.query('select published from log_state where log_id = $1', [logId]);
      if (rows[0].published >= size) return;
      await delay(50, undefined, { signal });
    }
  };

  const heaps = [];
  const collected = async (done) => {
    if (done < (COLLECTED[heaps.length] ?? Infinity) * appends) return;
    const told = child.next((message) => message.memory !== undefined);
    child.send({ collect: true });
    const { memory } = await told;
    heaps.push(memory);
    say(
      `after ${done} appends, collected: ${JSON.stringify(memory)} MiB, resident ${residentMib(child.pid).toFixed(0)}`,
    );
  };
  const resident = [];
  const began = performance.now();
  for (let put = 0; put < appends; put += LOT) {
    await pool.query(
      `insert into log_pending (log_id, subject_kind, subject_id, version, leaf, key_id, execution_id)
       select $1, 'receipt', id::text, 1, convert_to(rpad(id::text, $2, id::text), 'utf8'), $3, id
       from (select gen_random_uuid() as id from generate_series(1, $4::int)) made`,
      [logId, LEAF_BYTES, keyId, LOT],
    );
    await until(put + LOT - AHEAD);
    resident.push(residentMib(child.pid));
    await collected(put);
  }
  await until(appends);
  const seconds = (performance.now() - began) / 1_000;
  const share = (from, to) => median(resident.slice(from * resident.length, to * resident.length));
  const [early, late] = [share(0.1, 0.3), share(0.8, 1)];
  const ratio = late / early;
  report('sequencer_memory', late, 'MiB', {
    peer: early,
    ratio,
    bar: 1 + MEMORY_BAR,
    ok: Math.abs(ratio - 1) <= MEMORY_BAR,
  });
  await collected(appends);
  const [first, last] = [heaps[0].heap, heaps.at(-1).heap];
  report('sequencer_heap', last, 'MiB', {
    peer: first,
    ratio: last / first,
    bar: 1 + MEMORY_BAR,
    ok: last <= first * (1 + MEMORY_BAR),
  });
  report('sequencer_memory_highest', percentile(resident, 1), 'MiB');
  report('sequencer_appends', appends / seconds, 'entries/s');
}
