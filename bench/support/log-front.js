/**
 * Runs in a process of its own, before the real sequencer, which has one too: a door that the product does not have.
 * `POST /add` makes the body a pending entry whose subject is its SHA-256 and answers the entry's index once a signed
 * checkpoint covers it, the same index for the same body. `GET /checkpoint`, `/tile/…` and `/counts` as the peer's server.
 *   { start: { databaseUrl, folder } } → { ready, port, vkey, pids }
 */
import * as crypto from 'node:crypto';
import { setImmediate as immediate, setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { createLogReader } from '../../dist/attestation/log/reader.js';
import { parseTilePath } from '../../dist/domain/log/tile.js';
import { byteaArray, textArray } from '../../dist/store/binary-array.js';
import { createNotifier } from '../../dist/store/notify.js';
import { createPool } from '../../dist/store/pool.js';
import { serveBare } from './bare-http.js';
import { startChild } from './processes.js';

/** Of one statement; and the time from one to the next, when there were few and when there were many. */
const MOST_AT_ONCE = 1_024;
const FEW = 32;
const PUT_EVERY_MS = { few: 5, many: 25 };
const ANSWERS_AT_ONCE = 32;

// By SIGTERM too, or a profile is not written.
for (const end of ['disconnect', 'SIGTERM']) process.on(end, () => process.exit(0));
process.on('message', async (/** @type {any} */ { start }) => {
  if (start !== undefined) process.send?.({ ready: true, ...(await open(start)) });
});

async function open({ databaseUrl, folder }) {
  const program = fileURLToPath(new URL('./sequencer-process.js', import.meta.url));
  const sequencer = startChild(program, { name: 'sequencer', folder });
  sequencer.send({ start: { databaseUrl, folder } });
  const { logId, keyId, vkey } = await sequencer.next((message) => message.ready === true);
  const pool = createPool({ databaseUrl, name: 'bench front', fixedPlans: true });
  const reader = createLogReader(pool, logId);
  const outbox = await openOutbox(databaseUrl);
  const door = createDoor({ pool, outbox, logId, keyId, notifier: createNotifier(pool) });
  sequencer.heard((message) => message.shown !== undefined && door.shown(message.shown));
  const port = await serveBare(({ method, target, body }, answer) => {
    if (method === 'POST') door.add(body, answer);
    else read(target, answer, { reader, door }).catch((error) => answer(500, String(error)));
  });
  return { port, vkey, pids: [process.pid, sequencer.pid] };
}

/**
 * Where adds become pending. Its commits are not flushed by themselves: an add is answered after the sequencer's commits of
 * its entry and its checkpoint, which are, and with them all that stands before them in the write-ahead log. Its plans are
 * kept, and made for tables that grow.
 */
async function openOutbox(databaseUrl) {
  const client = new pg.Client({ connectionString: databaseUrl, application_name: 'beacon bench outbox' });
  await client.connect();
  await client.query(
    `set search_path = beacon; set role beacon_app; set synchronous_commit = off; set enable_seqscan = off;
     set plan_cache_mode = force_generic_plan`,
  );
  return client;
}

async function read(target, answer, { reader, door }) {
  if (target === '/counts') return answer(200, JSON.stringify(door.counts()));
  if (target === '/checkpoint') return answer(200, (await reader.checkpoint()).note);
  const tile = parseTilePath(target.slice(1));
  const bytes = tile === undefined ? undefined : await reader.tile(tile);
  return bytes === undefined ? answer(404, '') : answer(200, bytes);
}

/** The index of those that stand in the log; the others become pending. */
const PUT = `with asked as materialized (
    select a.*, (select e.idx from log_entries e
                 where e.subject_id = a.subject and e.version = 1 and e.subject_kind = 'receipt'
                   -- So written, it is no way into the table: while it is empty the planner cannot tell.
                   and (e.log_id = $1) is true) as idx
    from unnest($3::text[], $4::bytea[]) as a (subject, leaf)
  ), put as (
    insert into log_pending (log_id, subject_kind, subject_id, version, leaf, key_id)
    select $1, 'receipt', subject, 1, leaf, $2 from asked where idx is null
  )
  select subject, idx from asked where idx is not null`;

/** Who waits for which subject, what goes to the database next, and what was answered. */
function createDoor({ pool, outbox, logId, keyId, notifier }) {
  /** @type {Map<string, ((status: number, body: string) => void)[]>} */
  const waiting = new Map();
  /** @type {{ subject: string, leaf: Buffer }[]} */
  let queue = [];
  let putting = false;
  /** Entries below this were answered; a checkpoint of `size` is shown. */
  let answeredTo = 0;
  let size = 0;
  let answering = false;
  const seen = new Set();
  const counts = { answered: 0, pushback: 0, failed: 0 };

  function answer(subject, index) {
    const asked = waiting.get(subject);
    if (asked === undefined) return;
    waiting.delete(subject);
    seen.add(index);
    counts.answered += asked.length;
    for (const respond of asked) respond(200, String(index));
  }

  async function put() {
    if (putting) return;
    putting = true;
    while (queue.length > 0) {
      const batch = queue.slice(0, MOST_AT_ONCE);
      const next = performance.now() + PUT_EVERY_MS[batch.length < FEW ? 'few' : 'many'];
      queue = queue.slice(MOST_AT_ONCE);
      try {
        const { rows } = await outbox.query({
          name: 'put',
          text: PUT,
          values: [
            logId,
            keyId,
            textArray(batch.map(({ subject }) => subject)),
            byteaArray(batch.map(({ leaf }) => leaf)),
          ],
        });
        notifier.notify('log');
        // It was not waited for, so it was answered before: a checkpoint covers it.
        for (const { subject, idx } of rows) answer(subject, idx);
      } catch (error) {
        for (const { subject } of batch) fail(subject, error);
      }
      const rest = next - performance.now();
      if (rest > 1) await delay(rest);
    }
    putting = false;
  }

  function fail(subject, error) {
    const asked = waiting.get(subject) ?? [];
    waiting.delete(subject);
    counts.failed += asked.length;
    for (const respond of asked) respond(500, String(error));
  }

  async function answerShown() {
    if (answering) return;
    answering = true;
    while (answeredTo < size) {
      const upTo = size;
      const { rows } = await pool.query({
        name: 'bench shown',
        text: 'select idx, subject_id from log_entries where log_id = $1 and idx >= $2 and idx < $3',
        values: [logId, answeredTo, upTo],
      });
      answeredTo = upTo;
      for (let i = 0; i < rows.length; i++) {
        // In between, what came meanwhile is taken.
        if (i % ANSWERS_AT_ONCE === ANSWERS_AT_ONCE - 1) await immediate();
        answer(rows[i].subject_id, rows[i].idx);
      }
    }
    answering = false;
  }

  return {
    add(body, respond) {
      const subject = sha256Hex(body);
      const others = waiting.get(subject);
      if (others !== undefined) return void others.push(respond);
      waiting.set(subject, [respond]);
      queue.push({ subject, leaf: body });
      void put();
    },
    shown(newSize) {
      size = newSize;
      void answerShown();
    },
    counts: () => ({ ...counts, unique: seen.size }),
  };
}

/** In one call where Node has it, which costs half. */
const sha256Hex = (/** @type {Buffer} */ bytes) =>
  /** @type {{ hash?: typeof crypto.hash }} */ (crypto).hash?.('sha256', bytes, 'hex') ??
  crypto.createHash('sha256').update(bytes).digest('hex');
