/**
 * Runs in a process of its own: the real sequencer with its guard, and before it a door that the product does not have.
 * `POST /add` makes the body a pending entry whose subject is its SHA-256 and answers the entry's index once a signed
 * checkpoint covers it, the same index for the same body. `GET /checkpoint`, `/tile/…` and `/counts` as the peer's server.
 *   { start: { databaseUrl, folder } } → { ready, port, vkey }
 */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { setImmediate as immediate } from 'node:timers/promises';
import { parseTilePath } from '../../dist/domain/log/tile.js';
import { byteaArray, textArray } from '../../dist/store/binary-array.js';
import { openSequencer } from './log-sequencer.js';

/** Of one statement. */
const MOST_AT_ONCE = 1_024;
const ANSWERS_AT_ONCE = 32;

// By SIGTERM too, or a profile is not written.
for (const end of ['disconnect', 'SIGTERM']) process.on(end, () => process.exit(0));
process.on('message', async (/** @type {any} */ { start }) => {
  if (start !== undefined) process.send?.({ ready: true, ...(await open(start)) });
});

async function open({ databaseUrl, folder }) {
  let door;
  const log = await openSequencer({ databaseUrl, folder, shown: (size) => door?.shown(size) });
  const { reader } = log;
  door = createDoor(log);
  const server = createServer((request, response) => {
    if (request.method === 'POST') {
      take(request, (body) => door.add(body, response));
      return;
    }
    read(request.url ?? '/', response, { reader, door }).catch((error) =>
      response.writeHead(500).end(String(error)),
    );
  });
  server.keepAliveTimeout = 60_000;
  await new Promise((resolve) => server.listen(0, '127.0.0.1', 1_024, () => resolve(undefined)));
  return { port: server.address().port, vkey: log.vkey };
}

function take(request, done) {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => done(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)));
}

async function read(url, response, { reader, door }) {
  if (url === '/counts') return void response.end(JSON.stringify(door.counts()));
  if (url === '/checkpoint') return void response.end((await reader.checkpoint()).note);
  const tile = parseTilePath(url.slice(1));
  const bytes = tile === undefined ? undefined : await reader.tile(tile);
  if (bytes === undefined) response.statusCode = 404;
  response.end(bytes);
}

/** Who waits for which subject, what goes to the database next, and what was answered. */
function createDoor({ pool, logId, keyId, notifier }) {
  /** @type {Map<string, import('node:http').ServerResponse[]>} */
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
    const responses = waiting.get(subject);
    if (responses === undefined) return;
    waiting.delete(subject);
    seen.add(index);
    counts.answered += responses.length;
    const text = String(index);
    for (const response of responses) response.end(text);
  }

  async function put() {
    if (putting) return;
    putting = true;
    while (queue.length > 0) {
      const batch = queue.slice(0, MOST_AT_ONCE);
      queue = queue.slice(MOST_AT_ONCE);
      try {
        const { rows } = await pool.query({
          text: `with asked as materialized (
              select a.*, (select e.idx from log_entries e where e.log_id = $1 and e.subject_kind = 'receipt'
                             and e.subject_id = a.subject and e.version = 1) as idx
              from unnest($3::text[], $4::bytea[]) as a (subject, leaf)
            ), put as (
              insert into log_pending (log_id, subject_kind, subject_id, version, leaf, key_id)
              select $1, 'receipt', subject, 1, leaf, $2 from asked where idx is null
            )
            select subject, idx from asked where idx is not null`,
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
    }
    putting = false;
  }

  function fail(subject, error) {
    const responses = waiting.get(subject) ?? [];
    waiting.delete(subject);
    counts.failed += responses.length;
    for (const response of responses) response.writeHead(500).end(String(error));
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
        // In between, the sequencer, which shares this thread here only, goes on.
        if (i % ANSWERS_AT_ONCE === ANSWERS_AT_ONCE - 1) await immediate();
        answer(rows[i].subject_id, rows[i].idx);
      }
    }
    answering = false;
  }

  return {
    add(body, response) {
      const subject = createHash('sha256').update(body).digest('hex');
      const others = waiting.get(subject);
      if (others !== undefined) return void others.push(response);
      waiting.set(subject, [response]);
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
