import { createHash, randomBytes, randomInt } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createAttester, type Attester } from '../activities/attester.ts';
import type { StoredBytes } from '../backends/backend.ts';
import { stageAttempt } from '../activities/stage-outcome.ts';
import { stageBytes, type HeldBytes } from '../activities/stage-bytes.ts';
import { generateReceiptKey } from '../attestation/keys/receipt-key.ts';
import { openLog } from '../attestation/log/open.ts';
import { registerFirstReceiptKey } from '../attestation/log/receipt-keys.ts';
import { fixedSigning } from '../attestation/receipt/signing.ts';
import { MIB } from '../domain/limits.ts';
import { createBusinessEvents } from '../observability/events.ts';
import { createLogger } from '../observability/log.ts';
import { createMetrics } from '../observability/metrics.ts';
import { jobSpec, signedSpec, submitOf } from '../test/support/jobs.ts';
import { testDatabase, type TestDatabase } from '../test/support/postgres.ts';
import { beginAttempt } from './begin-attempt.ts';
import { sweepBlobs } from './blob-sweep.ts';
import { putBlob } from './blobs.ts';
import { createSubmitter, type Submitter } from './submit.ts';
import type { WorkRow } from './work.ts';

const HOURS = 3_600_000;
const OPTIONS = { graceMs: 24 * HOURS, looks: 7, removals: 3 };

let db: TestDatabase;
let submitter: Submitter;
let attest: Attester['attest'];
const events = createBusinessEvents(createLogger('test', 'silent'), createMetrics());
/** What `attest` does after it has read the outcome and before it commits. */
let whileSigning: () => Promise<void>;

beforeAll(async () => {
  db = await testDatabase();
  submitter = createSubmitter({ pool: db.pool, notifier: { notify: () => undefined } });
  const key = generateReceiptKey();
  const { logId } = await openLog(db.pool);
  await registerFirstReceiptKey(db.pool, logId, key);
  const { signer } = fixedSigning(logId, key).now();
  ({ attest } = createAttester({
    pool: db.pool,
    signing: {
      now: () => ({
        logId,
        signer: {
          ...signer,
          async signReceipt(receipt) {
            await whileSigning();
            return signer.signReceipt(receipt);
          },
        },
      }),
      renew: () => Promise.resolve(false),
    },
    software: { name: 'beacon', version: 'test' },
    events,
    committed: () => undefined,
  }));
});
afterAll(async () => {
  await submitter[Symbol.asyncDispose]();
  await db[Symbol.asyncDispose]();
});
beforeEach(() => {
  whileSigning = () => Promise.resolve();
});

/** As if two days went by for everything that is stored, between two steps of the sweep. */
async function daysPass(): Promise<void> {
  const client = await db.pool.connect();
  try {
    await client.query('begin');
    await client.query(`select from settings where key = 'blob_sweep' for update`);
    // Nothing may begin or be staged between the two updates: it would live in both times.
    await client.query('lock table jobs, blobs in exclusive mode');
    // The place of the walk is a time as well.
    await client.query(
      `update settings set value = json_build_object('sha256', value ->> 'sha256', 'at', (value ->> 'at')::timestamptz - interval '2 days')
       where key = 'blob_sweep'`,
    );
    await client.query(`update jobs set started_at = started_at - interval '2 days'`);
    await client.query(`update blobs set staged_at = staged_at - interval '2 days'`);
    await client.query('commit');
  } finally {
    client.release();
  }
}

async function sweepAll(): Promise<number> {
  for (let removed = 0; ;) {
    const swept = await sweepBlobs(db.pool, OPTIONS);
    removed += swept?.removed ?? 0;
    if (swept?.more !== true) return removed;
  }
}

async function newJob(): Promise<string> {
  const job = submitOf(signedSpec(jobSpec()));
  await submitter.submit(job);
  return job.id;
}

async function begun(jobId: string, attempt = 1): Promise<WorkRow> {
  const answer = await beginAttempt(db.pool, {
    jobId,
    index: 0,
    attempt,
    backend: 'local',
    region: 'US',
    timeoutMs: 60_000,
    providerTimeoutMs: 60_000,
  });
  if (answer.kind !== 'begun') throw new Error(answer.kind);
  return answer.work;
}

/** Stored at once, as what is too large to be held until the outcome is kept. */
async function stored(bytes: Uint8Array): Promise<StoredBytes> {
  const held: HeldBytes = new Map();
  const kept = await stageBytes(db.pool, bytes, held);
  for (const [sha256, part] of held) await putBlob(db.pool, Buffer.from(sha256, 'hex'), [part]);
  return kept;
}

/** Stages what `execute` would: an output and, when given, a file. */
async function staged(jobId: string, work: WorkRow, output: Uint8Array, file?: Uint8Array): Promise<boolean> {
  const held: HeldBytes = new Map();
  const kept = await stageBytes(db.pool, output, held);
  const files = file === undefined ? [] : [{ name: 'file.bin', mime: 'text/plain', ...(await stored(file)) }];
  const answer = await stageAttempt(
    { pool: db.pool, jobId, row: work, held, attester: undefined, events },
    {
      placement: {
        backend: 'local',
        provider: 'test',
        region: { requested: 'US', claimed: null, observed: null, verified: false, method: 'none' },
      },
      imageRequested: 'builtin:echo',
      imageExecuted: null,
      isolation: 'process',
      startedAt: new Date().toISOString(),
      durationMs: 1,
      output: kept,
      files,
      limits: {},
      exitCode: 0,
    },
    undefined,
  );
  return answer === 'staged';
}

const end = (jobId: string) => attest({ job: jobId, indexes: [0], reason: 'ended' });

async function partsOf(bytes: Uint8Array): Promise<number> {
  const sha256 = createHash('sha256').update(bytes).digest();
  const { rows } = await db.pool.query<{ bytes: Buffer }>(
    'select bytes from blobs where sha256 = $1 order by part',
    [sha256],
  );
  if (rows.length > 0) expect(Buffer.concat(rows.map((row) => row.bytes)).equals(bytes)).toBe(true);
  return rows.length;
}

/** Every hash that an ended execution names, and whether its bytes are all there. */
async function missingReferences(): Promise<string[]> {
  const { rows } = await db.pool.query<{ sha256: string }>(
    `select encode(named.sha256, 'hex') as sha256 from (
       select e.output_sha256 as sha256 from executions e where e.output_sha256 is not null
       union select f.sha256 from files f
     ) named
     where named.sha256 is distinct from (
       select sha256(string_agg(b.bytes, ''::bytea order by b.part)) from blobs b where b.sha256 = named.sha256)`,
  );
  return rows.map((row) => row.sha256);
}

describe('the sweep', () => {
  it('removes what a lost attempt staged, of however many parts, a day after it', async () => {
    const job = await newJob();
    await begun(job);
    const small = randomBytes(100);
    const large = randomBytes(2.5 * MIB);
    await stored(small);
    await stored(large);
    // Its worker is gone; another one goes on and ends the job.
    await beginAttempt(db.pool, {
      jobId: job,
      index: 0,
      attempt: 1,
      backend: 'local',
      region: 'US',
      timeoutMs: 1,
      providerTimeoutMs: 1,
    });
    const output = randomBytes(50);
    expect(await staged(job, await begun(job, 2), output)).toBe(true);
    await end(job);
    expect(await sweepAll()).toBe(0);
    await daysPass();
    expect(await sweepAll()).toBe(2);
    expect([await partsOf(small), await partsOf(large), await partsOf(output)]).toEqual([0, 0, 1]);
  });

  it('keeps outputs and files of every size that an ended job names', async () => {
    const job = await newJob();
    const [output, file] = [randomBytes(1_000), randomBytes(3 * MIB)];
    await staged(job, await begun(job), output, file);
    await end(job);
    await daysPass();
    await sweepAll();
    expect([await partsOf(output), await partsOf(file)]).toEqual([1, 3]);
    expect(await missingReferences()).toEqual([]);
  });

  it('leaves everything that was staged since the oldest running job began', async () => {
    const [running, other] = [await newJob(), await newJob()];
    const work = await begun(running);
    const [own, garbage] = [randomBytes(10), randomBytes(10)];
    await stored(own);
    await begun(other);
    await stored(garbage);
    await daysPass();
    await daysPass();
    expect(await sweepAll()).toBe(0);
    expect(await staged(running, work, own)).toBe(true);
    await end(running);
    await end(other);
    expect(await sweepAll()).toBe(1);
    expect([await partsOf(own), await partsOf(garbage)]).toEqual([1, 0]);
  });

  it('spares what a lost attempt left long ago once a running one has staged the same', async () => {
    const bytes = randomBytes(70);
    await stored(bytes);
    await daysPass();
    const job = await newJob();
    const work = await begun(job);
    await stored(bytes);
    expect(await sweepAll()).toBe(0);
    expect(await staged(job, work, bytes)).toBe(true);
    await end(job);
    expect(await missingReferences()).toEqual([]);
  });

  it('takes nothing from an attest in flight', async () => {
    const job = await newJob();
    const output = randomBytes(200);
    await staged(job, await begun(job), output);
    let swept = -1;
    whileSigning = async () => {
      await daysPass();
      swept = await sweepAll();
    };
    await end(job);
    expect(swept).toBe(0);
    expect(await partsOf(output)).toBe(1);
    await daysPass();
    await sweepAll();
    expect(await missingReferences()).toEqual([]);
  });

  it('and a staging of the same bytes meet at the row: they are there afterwards', async () => {
    const bytes = randomBytes(64);
    const sha256 = createHash('sha256').update(bytes).digest();
    await stored(bytes);
    await daysPass();
    const sweeper = await db.pool.connect();
    try {
      await sweeper.query('begin');
      await sweeper.query('select from blobs where sha256 = $1 for update', [sha256]);
      await sweeper.query('delete from blobs where sha256 = $1', [sha256]);
      const putting = putBlob(db.pool, sha256, [bytes]);
      await pause(50);
      await sweeper.query('commit');
      await putting;
    } finally {
      sweeper.release();
    }
    expect(await partsOf(bytes)).toBe(1);
    // Staged a moment ago, so it is left alone.
    expect(await sweepAll()).toBe(0);
  });

  it('staging what lies there for long marks it again, once an hour', async () => {
    const bytes = randomBytes(64);
    const at = async (): Promise<string> =>
      (
        await db.pool.query<{ at: string }>('select staged_at::text as at from blobs where sha256 = $1', [
          createHash('sha256').update(bytes).digest(),
        ])
      ).rows[0]!.at;
    await stored(bytes);
    const first = await at();
    await stored(bytes);
    expect(await at()).toBe(first);
    await daysPass();
    await stored(bytes);
    expect(Date.parse(await at())).toBeGreaterThanOrEqual(Date.parse(first));
  });

  it('goes in bounded steps, once over each blob, one walker at a time', async () => {
    await daysPass();
    await sweepAll();
    for (let i = 0; i < 10; i++) await stored(randomBytes(32));
    await daysPass();
    const first = await sweepBlobs(db.pool, OPTIONS);
    expect(first).toEqual({ looked: 3, removed: 3, more: true });
    const holder = await db.pool.connect();
    try {
      await holder.query('begin');
      await holder.query(`select from settings where key = 'blob_sweep' for update`);
      expect(await sweepBlobs(db.pool, OPTIONS)).toBeUndefined();
    } finally {
      await holder.query('rollback');
      holder.release();
    }
    expect(await sweepAll()).toBe(7);
    expect(await sweepBlobs(db.pool, OPTIONS)).toEqual({ looked: 0, removed: 0, more: false });
  });
});

/** Contents in use at a time: few enough that jobs name what lost attempts staged, many enough that most are not named. */
const POOL = 30;

it('many jobs, lost attempts and passing days at once: nothing that is named ever goes, and all else does', async () => {
  const contents = Array.from({ length: POOL }, (_, i) => randomBytes(i === 0 ? 1.2 * MIB : 40));
  const any = (): Uint8Array => contents[randomInt(contents.length)]!;
  let ended = 0;
  const over = (): boolean => ended >= 40;
  let removed = 0;
  let days = 0;
  whileSigning = () => pause(randomInt(10));
  const worker = async (): Promise<void> => {
    while (!over()) {
      const job = await newJob();
      let attempt = 1;
      for (; randomInt(2) === 0; attempt++) {
        await begun(job, attempt);
        for (let i = 0; i < 5; i++) await stored(any());
        await db.pool.query(
          `update attempts set state = 'lost' where execution_id = (select id from executions where job_id = $1)`,
          [job],
        );
      }
      const work = await begun(job, attempt);
      const output = any().subarray(0, MIB);
      if (!(await staged(job, work, output, any()))) throw new Error('fenced off');
      await pause(randomInt(20));
      await end(job);
      ended++;
    }
  };
  const sweeper = async (): Promise<void> => {
    while (!over()) {
      removed += (await sweepBlobs(db.pool, OPTIONS))?.removed ?? 0;
      await pause(randomInt(5));
    }
  };
  const calendar = async (): Promise<void> => {
    while (!over()) {
      await daysPass();
      days++;
      // Others from now on, so that the same bytes are staged by lost attempts first and named later.
      for (let i = 0; i < 8; i++) contents[1 + randomInt(POOL - 1)] = randomBytes(40);
      await pause(randomInt(60));
    }
  };
  await Promise.all([worker(), worker(), worker(), sweeper(), sweeper(), calendar()]);
  expect(await missingReferences()).toEqual([]);
  expect(Math.min(removed, days)).toBeGreaterThan(3);
  await daysPass();
  await sweepAll();
  expect(await missingReferences()).toEqual([]);
  const { rows } = await db.pool.query<{ left: number }>(
    `select count(distinct b.sha256)::int as left from blobs b
     where not exists (select from files f where f.sha256 = b.sha256)
       and not exists (select from executions e where e.output_sha256 = b.sha256)`,
  );
  expect(rows).toEqual([{ left: 0 }]);
}, 60_000);
