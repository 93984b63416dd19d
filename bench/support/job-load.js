/**
 * Runs in a process of its own: keeps a number of jobs in flight, the next one as soon as one is done.
 *   { connect: { temporal, api } }                  Temporal's address; Beacon's URL, whose feed is read by one client
 *                                                   → { connected }
 *   { prepare: n, executions }                      makes n distinct signed submits                → { prepared }
 *   { raw: { inFlight, activities, … } }            workflows, from their start to their result    → { done, … }
 *   { beacon: { inFlight, … } }                     jobs, from the submit to `job.completed` in the feed
 * A run counts for `ms` after `warmMs`, or ends after `runs`.
 */
import { randomUUID } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { WebSocket } from 'ws';
import { createConnection, postRequest } from './http-connection.js';
import { percentile } from './measure.js';
import { generateKey, signedBody, spec } from './specs.js';

const KEYS = 16;
const keys = Array.from({ length: KEYS }, generateKey);
/** As large as the plan of a job of one execution. */
const PLAN = {
  regions: ['US'],
  executions: [[0, -1, -1]],
  backends: { '*': ['local'] },
  fallback_regions: [],
  timeout_ms: 60_000,
  provider_timeout_ms: 60_000,
  deadline_ms: 86_400_000,
  min_regions: 1,
  min_success_rate: 0.67,
  max_parallel: 10,
};

/** @type {{ id: string, request: Buffer }[]} */
let requests = [];
/** @type {Client} */
let client;
let port = 0;
/** Jobs that the feed is waited for, by id. */
const waiting = new Map();
/** What the feed told, by type; `doubled` events came twice. */
let told = {};
let lastPosition = 0;
let doubled = 0;
/** When each job was told to have ended, until the entry of its summary is told. */
const endedAt = new Map();
let proofs = [];

process.on('disconnect', () => process.exit(0));
process.on('message', async (/** @type {any} */ message) => {
  if (message.connect !== undefined) await connect(message.connect);
  else if (message.prepare !== undefined) {
    requests = Array.from({ length: message.prepare }, (_, i) => {
      const unsigned = spec(message.executions);
      return { id: unsigned.id, request: postRequest(signedBody(unsigned, keys[i % KEYS])) };
    });
    process.send?.({ prepared: requests.length });
  } else if (message.raw !== undefined) process.send?.(await loop(message.raw, raw(message.raw)));
  else if (message.beacon !== undefined) process.send?.(await loop(message.beacon, beacon()));
});

async function connect({ temporal, api }) {
  const connection = await Connection.connect({ address: temporal });
  client = new Client({ connection });
  port = Number(new URL(api).port);
  const socket = new WebSocket(`${api.replace('http', 'ws')}/ws`, { perMessageDeflate: false });
  socket.on('close', (code) => {
    process.stderr.write(`the feed was closed: ${code}\n`);
    process.exit(1);
  });
  await new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('message', (data) => {
      for (const line of data.toString().split('\n')) {
        if (line === '') continue;
        const event = JSON.parse(line);
        if (event.type === 'feed.live') resolve(undefined);
        else hear(event);
      }
    });
  });
  process.send?.({ connected: true });
}

function hear(event) {
  const position = Number(event.cursor?.split('.').at(-1) ?? 0);
  if (position !== 0 && position <= lastPosition) doubled++;
  lastPosition = position;
  told[event.type] = (told[event.type] ?? 0) + 1;
  if (event.type === 'transparency.entry_appended' && event.subject_kind === 'job') {
    const at = endedAt.get(event.job_id);
    // The log may be ahead of the feed's news of the end.
    if (at !== undefined) proofs.push(performance.now() - at);
    endedAt.delete(event.job_id);
  }
  if (!/^job\.(completed|failed|cancelled|expired)$/.test(event.type)) return;
  endedAt.set(event.job_id, performance.now());
  waiting.get(event.job_id)?.(event.type);
  waiting.delete(event.job_id);
}

/** One raw workflow, from start to result. */
const raw =
  ({ activities }) =>
  () =>
  async () => {
    const job = `bench-${randomUUID()}`;
    await client.workflow.execute('rawWorkflow', {
      taskQueue: 'raw',
      workflowId: `raw-${job}`,
      args: [{ job, plan: PLAN, count: activities }],
    });
  };

/** One job, from its submit until the feed tells its end. */
const beacon = () => {
  let next = 0;
  return () => {
    const connection = createConnection({ port });
    return async () => {
      const { id, request } = requests[next++] ?? fail('too few submits were prepared');
      const ended = new Promise((resolve) => waiting.set(id, resolve));
      const { status, body } = await connection.ask(request);
      if (status !== 202) fail(`not accepted: ${status} ${body}`);
      const type = await ended;
      if (type !== 'job.completed') fail(`${id} ended as ${type}`);
    };
  };
};

function fail(text) {
  throw new Error(text);
}

async function loop({ inFlight, warmMs = 0, ms = Infinity, runs = Infinity }, lane) {
  told = {};
  proofs = [];
  const began = performance.now();
  let left = runs;
  let all = 0;
  let completed = 0;
  const times = [];
  try {
    await Promise.all(
      Array.from({ length: inFlight }, async () => {
        const once = lane();
        while (left-- > 0 && performance.now() - began < warmMs + ms) {
          const from = performance.now();
          await once();
          all++;
          const now = performance.now();
          if (now - began < warmMs || now - began >= warmMs + ms) continue;
          completed++;
          times.push(now - from);
        }
      }),
    );
  } catch (error) {
    return { done: true, error: String(error) };
  }
  const seconds = Math.min(performance.now() - began - warmMs, ms) / 1_000;
  return {
    done: true,
    all,
    completed,
    seconds,
    rate: completed / seconds,
    p50: percentile(times, 0.5),
    p99: percentile(times, 0.99),
    proofP50: percentile(proofs, 0.5),
    proofP99: percentile(proofs, 0.99),
    told,
    doubled,
  };
}
