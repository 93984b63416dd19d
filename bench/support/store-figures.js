/** What `bench:store` asks: every list and look-up behind the API's routes, and what the relay and the others ask. */
import { executionBundle, jobBundle } from '../../dist/attestation/bundle.js';
import { askDatabase } from '../../dist/store/alive.js';
import {
  countExecutions,
  getExecution,
  getReceipt,
  latestAttestedExecution,
  listAttempts,
  listExecutions,
  listFiles,
  listJobExecutions,
  listLogLines,
} from '../../dist/store/execution-reads.js';
import { findFeedSubject, readFeed, readHead, readTail } from '../../dist/store/feed.js';
import { countBacklog, getJob, getJobState, listJobEvents, listJobs } from '../../dist/store/job-reads.js';
import { readAuditedEntries, readAuditTarget } from '../../dist/store/log-audit.js';
import { isPending } from '../../dist/store/log-entries.js';
import { countWaitingForKey } from '../../dist/store/log-pending.js';
import { findCid, getBlock, listReceiptCids, readLogTime } from '../../dist/store/log-reads.js';
import { readSequencer } from '../../dist/store/log-state.js';
import { readGauges } from '../../dist/store/metrics.js';
import { claimOutbox } from '../../dist/store/outbox.js';
import { STRANGER } from '../../dist/store/principals.js';
import { countLiveProcesses } from '../../dist/store/processes.js';
import { unspokenJobs } from '../../dist/store/reconcile.js';
import { keyOf, RUNNING } from './store-rows.js';

/** Rows of a page as the routes ask: their default and one more. */
const JOBS = 51;
const EXECUTIONS = 11;
const EVENTS = 100;
const FEED_EVENTS = 500;
const OUTPUT_BYTES = 16 * 1024;
/** As deep as both databases go. */
const OFFSET = 5_000;
const LEASE_MS = 15_000;

const OPERATOR = { all: true, owner: null };
/** Owns half of all jobs. */
const LARGEST = { all: false, owner: keyOf(0) };
const someone = (subject) => ({ all: false, owner: subject.owner });
const page = { limit: EXECUTIONS, offset: 0, outputBytes: OUTPUT_BYTES };
const after = ({ at, job }) => ({ at, id: job });
const afterExecution = ({ at, execution }) => ({ at, id: execution });

/** @typedef {{ name: string, ended?: boolean, samples?: number, ask: (side: any, subject: any) => Promise<unknown>,
 *             then?: (side: any, answer: any) => Promise<unknown>, bar?: boolean }} Figure */

/** @type {Figure[]} */
export const LISTS = [
  { name: 'jobs', ask: ({ pool }) => listJobs(pool, { limit: JOBS, viewer: STRANGER }) },
  {
    name: 'jobs_from_a_cursor',
    ask: ({ pool }, subject) => listJobs(pool, { limit: JOBS, viewer: STRANGER, after: after(subject) }),
  },
  {
    name: 'jobs_of_an_owner_from_a_cursor',
    ask: ({ pool }, subject) =>
      listJobs(pool, { limit: JOBS, viewer: someone(subject), after: after(subject) }),
  },
  {
    name: 'jobs_of_the_largest_owner_from_a_cursor',
    ask: ({ pool }, subject) => listJobs(pool, { limit: JOBS, viewer: LARGEST, after: after(subject) }),
  },
  {
    name: 'jobs_for_an_operator_from_a_cursor',
    ask: ({ pool }, subject) => listJobs(pool, { limit: JOBS, viewer: OPERATOR, after: after(subject) }),
  },
  ...['accepted', 'running', 'completed', 'expired'].map((state) => ({
    name: `jobs_${state}`,
    ask: ({ pool }) => listJobs(pool, { limit: JOBS, viewer: STRANGER, state }),
  })),
  ...[
    ['a_stranger', STRANGER],
    ['the_largest_owner', LARGEST],
    ['an_operator', OPERATOR],
  ].map(([who, viewer]) => ({
    name: `jobs_failed_for_${who}_from_a_cursor`,
    ask: ({ pool }, subject) =>
      listJobs(pool, { limit: JOBS, viewer, state: 'failed', after: after(subject) }),
  })),
  { name: 'executions', ask: ({ pool }) => listExecutions(pool, page, STRANGER) },
  {
    name: 'executions_by_offset',
    ask: ({ pool }) => listExecutions(pool, { ...page, offset: OFFSET }, STRANGER),
  },
  ...[
    ['a_stranger', STRANGER],
    ['the_largest_owner', LARGEST],
    ['an_operator', OPERATOR],
  ].flatMap(([who, viewer]) => [
    {
      name: `executions_for_${who}_from_a_cursor`,
      ask: ({ pool }, subject) => listExecutions(pool, { ...page, after: afterExecution(subject) }, viewer),
    },
    { name: `executions_total_for_${who}`, ask: ({ pool }) => countExecutions(pool, viewer) },
  ]),
  {
    name: 'executions_of_a_job',
    ask: ({ pool }, { job }) => listJobExecutions(pool, job, { ...page, limit: 20, current: true }),
  },
  {
    name: 'latest_execution_of_a_job',
    ask: ({ pool }, { job }) => latestAttestedExecution(pool, job, OUTPUT_BYTES),
  },
  { name: 'events_of_a_job', ask: ({ pool }, { job }) => listJobEvents(pool, job, 0, EVENTS) },
  { name: 'attempts', ask: ({ pool }, { execution }) => listAttempts(pool, [execution]) },
  { name: 'files', ask: ({ pool }, { execution }) => listFiles(pool, execution, 1) },
  {
    name: 'log_lines',
    ask: ({ pool }, { execution }) => listLogLines(pool, execution, { attempt: 0, seq: 0 }, 1_000),
  },
  { name: 'receipts_of_a_job', ended: true, ask: ({ pool }, { job }) => listReceiptCids(pool, job) },
  ...[
    ['from_anywhere', () => ({})],
    ['of_a_job', ({ job }) => ({ jobId: job })],
    ['of_an_execution', ({ job, execution }) => ({ jobId: job, executionId: execution })],
    ['of_a_type', () => ({ types: ['job.failed'] })],
  ].map(([which, filter]) => ({
    name: `feed_${which}`,
    samples: 400,
    ask: ({ pool }, subject) =>
      readFeed(pool, {
        after: which === 'of_a_job' || which === 'of_an_execution' ? 0 : 8 * Math.max(0, subject.n - 1_000),
        limit: FEED_EVENTS,
        filter: filter(subject),
        viewer: STRANGER,
      }),
  })),
];

/** @type {Figure[]} */
export const LOOK_UPS = [
  { name: 'job', ask: ({ pool }, { job }) => getJob(pool, job, STRANGER) },
  { name: 'job_state', ask: ({ pool }, { job }) => getJobState(pool, job, STRANGER) },
  {
    name: 'execution_by_id',
    ask: ({ pool }, { execution }) => getExecution(pool, { id: execution }, STRANGER, OUTPUT_BYTES),
  },
  {
    name: 'execution_by_number',
    ask: ({ pool }, { number }) => getExecution(pool, { number }, STRANGER, OUTPUT_BYTES),
  },
  { name: 'receipt', ended: true, ask: ({ pool }, { execution }) => getReceipt(pool, execution) },
  { name: 'cid_of_a_receipt', ended: true, ask: ({ pool }, { cid }) => findCid(pool, cid, STRANGER) },
  {
    name: 'cid_of_a_bundle',
    ended: true,
    ask: ({ pool }, { manifestCid }) => findCid(pool, manifestCid, STRANGER),
  },
  // A third of all jobs have the same output.
  {
    name: 'cid_of_an_output',
    ended: true,
    ask: ({ pool }, { outputCid }) => findCid(pool, outputCid, STRANGER),
  },
  {
    name: 'cid_of_an_output_for_an_owner',
    ended: true,
    ask: ({ pool }, subject) => findCid(pool, subject.outputCid, someone(subject)),
  },
  { name: 'block', ended: true, ask: ({ pool }, { digest }) => getBlock(pool, digest) },
  ...[
    ['index', ({ n }) => ({ index: 2 * n })],
    ['execution', ({ execution }) => ({ executionId: execution })],
    ['cid', ({ cid }) => ({ cid })],
  ].map(([by, query]) => ({
    name: `proof_by_${by}`,
    ended: true,
    async ask({ reader }, subject) {
      const entry = await reader.entry(query(subject));
      await reader.prove([entry.index], await reader.checkpoint());
    },
  })),
  {
    name: 'entry_that_is_pending',
    ask: ({ pool, logId }, { execution }) => isPending(pool, logId, { executionId: execution }),
  },
  { name: 'checkpoint_of_a_size', ended: true, ask: ({ reader }, { n }) => reader.checkpoint(2 * n + 1) },
  {
    name: 'consistency',
    ended: true,
    ask: ({ reader, shape }, { n }) => reader.consistencyProof(2 * n, 2 * shape.ended),
  },
  {
    name: 'tile',
    ended: true,
    ask: ({ reader }, { n }) => reader.tile({ level: 'entries', index: Math.floor(n / 256), width: 256 }),
  },
  {
    name: 'bundle_of_an_execution',
    ended: true,
    ask: ({ pool, reader }, { execution }) => executionBundle(pool, reader, execution),
  },
  {
    name: 'bundle_of_a_job',
    ended: true,
    async ask({ pool, reader }, { job }) {
      for await (const piece of (await jobBundle(pool, reader, job)).pieces)
        if (piece === '') throw new Error('empty');
    },
  },
  { name: 'feed_subject', ask: ({ pool }, { execution }) => findFeedSubject(pool, execution) },
];

/** A claim is undone before the next one, so that every one finds the same. */
const unclaim = ({ pool }, { rows }) =>
  pool.query('update outbox set leased_until = null where id = any($1)', [rows.map((row) => row.id)]);
const claim = (name, window, batch) => ({
  name,
  samples: 300,
  ask: ({ pool }) => claimOutbox(pool, { window, batch, leaseMs: LEASE_MS }),
  then: unclaim,
});

/** @type {Figure[]} */
export const CLAIMS = [
  claim('claim_with_a_full_window', RUNNING, 100),
  claim('claim_of_one', RUNNING + 1, 100),
  claim('claim_of_a_hundred', RUNNING + 100, 100),
];

/** What grows besides: no bar is set for these, the ratio is shown. @type {Figure[]} */
export const OTHERS = [
  { name: 'gauges', samples: 100, ask: ({ pool }) => readGauges(pool) },
  { name: 'backlog', samples: 100, ask: ({ pool }) => countBacklog(pool, 100_000) },
  { name: 'reconcile_page', samples: 100, ask: ({ pool }) => unspokenJobs(pool, 500).next() },
  {
    name: 'waiting_for_a_key',
    ask: ({ pool, logId }) => countWaitingForKey(pool, logId),
  },
  { name: 'feed_head', ask: ({ pool }) => readHead(pool) },
  { name: 'feed_tail', ask: ({ pool, shape }) => readTail(pool, 8 * shape.ended, 100) },
  {
    name: 'health',
    async ask({ pool, logId }) {
      await askDatabase(pool);
      await readSequencer(pool);
      await countLiveProcesses(pool, 'worker');
      await readLogTime(pool, logId);
    },
  },
  {
    name: 'audit',
    samples: 200,
    ended: true,
    async ask({ pool, logId }, { n }) {
      await readAuditTarget(pool, logId);
      await readAuditedEntries(pool, logId, n, 256);
    },
  },
];

/** Steps of a job's life, in order. */
export const LIFE = ['submit', 'begin', 'attest', 'positions', 'append'];
