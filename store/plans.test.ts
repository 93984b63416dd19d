import { afterAll, beforeAll, expect, test } from 'vitest';
import { attestedLog, type AttestedLog } from '../test/support/attested.ts';
import { clientKey, jobSpec, signedSpec, submitOf } from '../test/support/jobs.ts';
import { testDatabase, type TestDatabase } from '../test/support/postgres.ts';
import { readForAttest } from './attest-reads.ts';
import {
  countExecutions,
  getExecution,
  latestAttestedExecution,
  listAttempts,
  listExecutions,
  listFiles,
  listJobExecutions,
  listLogLines,
} from './execution-reads.ts';
import { findFeedSubject, readFeed } from './feed.ts';
import { readEnded } from './job-end.ts';
import { getJob, listJobEvents, listJobs } from './job-reads.ts';
import { readLoggedJob, readLoggedReceipt } from './log-bundles.ts';
import { findEntry, isPending, listEntries, type EntriesOf } from './log-entries.ts';
import { findCid, listReceiptCids } from './log-reads.ts';
import { listCheckpoints } from './log-tiles.ts';
import { claimOutbox } from './outbox.ts';
import type { Pool, Queryable, Transaction } from './pool.ts';
import { STRANGER, type Viewer } from './principals.ts';
import { createSubmitter } from './submit.ts';

const viewers: [string, Viewer][] = [
  ['a stranger', STRANGER],
  ['an owner', { all: false, owner: 'a' }],
  ['an operator', { all: true, owner: null }],
];

/**
 * Tables that grow with every job must be entered by an index condition, whatever is asked. With everything but nested
 * loops over indexes priced out, a plan has a scan without a condition only where no index fits.
 */
const GROWING =
  'jobs|executions|attempts|attempt_logs|files|receipts|job_summaries|cids|blocks|events|log_entries|log_checkpoints|outbox';
let logged: TestDatabase;
let log: AttestedLog;
let job: string;
let execution: string;
beforeAll(async () => {
  logged = await testDatabase();
  log = await attestedLog(logged);
  const submit = submitOf(signedSpec(jobSpec(), clientKey()));
  await using submitter = createSubmitter({ pool: logged.pool, notifier: { notify: () => undefined } });
  await submitter.submit(submit);
  job = submit.id;
  await log.endJob(job);
  log.startSequencing();
  await log.sizeReaches(3);
  execution = (await logged.pool.query<{ id: string }>('select id from executions')).rows[0]!.id;
});
afterAll(async () => {
  await log[Symbol.asyncDispose]();
  await logged[Symbol.asyncDispose]();
});

/** Asks with `ask` and answers the lines of the plans that go through a growing table without an index condition. */
async function walked(ask: (db: Pool & Transaction) => Promise<unknown>): Promise<string[]> {
  const client = await logged.pool.connect();
  const lines: string[] = [];
  const spy: Queryable = {
    query: (async (query: string | { text: string; values?: unknown[] }, values?: unknown[]) => {
      const text = typeof query === 'string' ? query : query.text;
      const given = typeof query === 'string' ? values : query.values;
      if (/^\s*(select|with|insert|update)/.test(text)) {
        const { rows } = await client.query<{ 'QUERY PLAN': string }>(`explain (costs off) ${text}`, given);
        lines.push(...rows.map((row) => row['QUERY PLAN']));
      }
      return client.query(text, given);
    }) as Queryable['query'],
  };
  try {
    await client.query(
      ['seqscan', 'bitmapscan', 'hashjoin', 'mergejoin'].map((way) => `set enable_${way} = off`).join(';'),
    );
    await ask(
      Object.assign(spy, {
        connect: async () => Object.assign(spy, { release: () => undefined }),
      }) as Pool & Transaction,
    );
  } finally {
    await client.query('reset all; set search_path = beacon; set role beacon_app');
    client.release();
  }
  expect(lines).not.toEqual([]);
  const scan = new RegExp(`Scan.* on (${GROWING})\\b`);
  return lines.filter(
    (line, i) =>
      scan.test(line) &&
      // Partial indexes that hold no more than a window of jobs, or what an operator asked for, are read as a whole.
      !/using outbox_(held|urgent|waiting)/.test(line) &&
      !/Index Cond/.test(lines[i + 1] ?? ''),
  );
}

const page = { limit: 10, offset: 0, outputBytes: 1_024 };
const entriesOf = (asked: Queryable, of: EntriesOf) =>
  listEntries(asked, log.head.logId, of, { size: 3, from: 0, limit: 10 });
test.each<[string, (asked: Pool & Transaction) => Promise<unknown>]>([
  ...viewers.flatMap(([name, viewer]): [string, (asked: Pool & Transaction) => Promise<unknown>][] => [
    [`jobs for ${name}`, (asked) => listJobs(asked, { limit: 10, viewer })],
    [`jobs of a status for ${name}`, (asked) => listJobs(asked, { limit: 10, viewer, state: 'completed' })],
    [
      `jobs from a cursor for ${name}`,
      (asked) => listJobs(asked, { limit: 10, viewer, after: { at: '2026-01-01', id: job } }),
    ],
    [`executions for ${name}`, (asked) => listExecutions(asked, page, viewer)],
    [
      `executions counted for ${name}`,
      (asked) => countExecutions(asked, viewer).then(() => asked.query('select 1')),
    ],
    [
      `a CID for ${name}`,
      async (asked) => findCid(asked, (await listReceiptCids(asked, job))[0] ?? '', viewer),
    ],
  ]),
  ['a job', (asked) => getJob(asked, job, STRANGER)],
  ['events of a job', (asked) => listJobEvents(asked, job, 0, 10)],
  ['executions of a job', (asked) => listJobExecutions(asked, job, { ...page, current: true })],
  ['the latest execution of a job', (asked) => latestAttestedExecution(asked, job, 1_024)],
  ['an execution by id', (asked) => getExecution(asked, { id: execution }, STRANGER, 1_024)],
  ['an execution by number', (asked) => getExecution(asked, { number: 1 }, STRANGER, 1_024)],
  ['attempts', (asked) => listAttempts(asked, [execution])],
  ['files', (asked) => listFiles(asked, execution, 1)],
  ['log lines', (asked) => listLogLines(asked, execution, { attempt: 0, seq: 0 }, 10)],
  ['an entry by index', (asked) => findEntry(asked, log.head.logId, { index: 1 })],
  ['an entry by execution', (asked) => findEntry(asked, log.head.logId, { executionId: execution })],
  ['an entry by CID', (asked) => findEntry(asked, log.head.logId, { cid: 'b' })],
  ['a pending entry', (asked) => isPending(asked, log.head.logId, { executionId: execution })],
  ['entries of a job', (asked) => entriesOf(asked, { jobId: job })],
  ['entries of an execution', (asked) => entriesOf(asked, { executionId: execution })],
  ['entries of a CID', (asked) => entriesOf(asked, { cid: 'b' })],
  ['checkpoints', (asked) => listCheckpoints(asked, log.head.logId, { below: undefined, limit: 10 })],
  ['a bundle of an execution', (asked) => readLoggedReceipt(asked, log.head.logId, execution)],
  ['a bundle of a job', (asked) => readLoggedJob(asked, log.head.logId, job)],
  [
    'the feed of a job',
    (asked) => readFeed(asked, { after: 0, limit: 10, filter: { jobId: job }, viewer: STRANGER }),
  ],
  ['the subject of a feed', (asked) => findFeedSubject(asked, execution)],
  ['what attest reads', (asked) => readForAttest(asked, job, [0], 50)],
  ['the executions of an ended job', (asked) => readEnded(asked, job)],
  ['a claim', (asked) => claimOutbox(asked, { window: 10, batch: 10, leaseMs: 1_000 })],
])('no table is read from end to end for %s', async (_name, ask) => {
  expect(await walked(ask)).toEqual([]);
});
