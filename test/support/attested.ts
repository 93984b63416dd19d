import { createAttester } from '../../activities/attester.ts';
import { stageBytes, type HeldBytes } from '../../activities/stage-bytes.ts';
import { stageAttempt } from '../../activities/stage-outcome.ts';
import { generateLogKey, type LogKey } from '../../attestation/keys/log-key.ts';
import { fixedLogKeyring } from '../../attestation/keys/log-keyring.ts';
import { generateReceiptKey } from '../../attestation/keys/receipt-key.ts';
import { openLog } from '../../attestation/log/open.ts';
import { createLogReader } from '../../attestation/log/reader.ts';
import { registerFirstReceiptKey } from '../../attestation/log/receipt-keys.ts';
import { startSequencer, type Sequencer } from '../../attestation/log/sequencer.ts';
import { fixedSigning } from '../../attestation/receipt/signing.ts';
import type { Region } from '../../domain/jobspec/region.ts';
import { createBusinessEvents } from '../../observability/events.ts';
import { createLogger } from '../../observability/log.ts';
import { createMetrics } from '../../observability/metrics.ts';
import type { LogHead } from '../../store/log-state.ts';
import { createNotifier, createWakeups } from '../../store/notify.ts';
import { appendAttemptLogs } from '../../store/attempt-logs.ts';
import { beginAttempt } from '../../store/begin-attempt.ts';
import { eventually } from './eventually.ts';
import type { TestDatabase } from './postgres.ts';

export interface AttestedLog extends AsyncDisposable {
  head: LogHead;
  logKey: LogKey;
  /**
   * Runs nothing, but ends every execution of a job as if its program had written `output` and one file, which says the
   * same unless it is given.
   */
  endJob(jobId: string, output?: string, file?: Uint8Array): Promise<void>;
  /** From here on pending entries are appended. */
  startSequencing(): Sequencer;
  /** Waits until the log shows at least `size` entries. */
  sizeReaches(size: number): Promise<void>;
}

/** The real way from staged outcomes to a signed log on `db`, without a workflow around it. */
export async function attestedLog(db: TestDatabase, key = generateReceiptKey()): Promise<AttestedLog> {
  const log = createLogger('test', 'silent');
  const logKey = generateLogKey();
  const head = await openLog(db.pool);
  await registerFirstReceiptKey(db.pool, head.logId, key);
  const notifier = createNotifier(db.pool);
  const wakeups = await createWakeups(db.url);
  const events = createBusinessEvents(log, createMetrics());
  const { attest } = createAttester({
    pool: db.pool,
    signing: fixedSigning(head.logId, key),
    software: { name: 'beacon', version: '0.0.0-test' },
    events,
    committed: () => notifier.notify('log'),
  });
  const sequencers: Sequencer[] = [];

  async function endExecution(
    jobId: string,
    index: number,
    region: Region | null,
    output: string,
    file: Uint8Array,
  ): Promise<void> {
    const begun = await beginAttempt(db.pool, {
      jobId,
      index,
      attempt: 1,
      backend: 'local',
      region,
      timeoutMs: 60_000,
      providerTimeoutMs: 60_000,
    });
    if (begun.kind !== 'begun') throw new Error(`execution ${index} of ${jobId} is ${begun.kind}`);
    const held: HeldBytes = new Map();
    const stored = await stageBytes(db.pool, Buffer.from(output), held);
    const storedFile = await stageBytes(db.pool, file, held);
    await appendAttemptLogs(db.pool, begun.work, [
      { seq: 1, timeUs: Date.now() * 1_000, source: 'stdout', line: 'thinking' },
      { seq: 2, timeUs: Date.now() * 1_000, source: 'stderr', line: 'done' },
    ]);
    await stageAttempt(
      { pool: db.pool, jobId, row: begun.work, held, attester: undefined, events },
      {
        placement: {
          backend: 'local',
          provider: 'test',
          region: { requested: region, claimed: null, observed: null, verified: false, method: 'none' },
        },
        imageRequested: 'builtin:echo',
        imageExecuted: null,
        isolation: 'process',
        startedAt: new Date().toISOString(),
        durationMs: 12,
        output: stored,
        files: [{ name: 'notes/answer.html', mime: 'text/html', ...storedFile }],
        limits: {},
        exitCode: 0,
      },
      undefined,
    );
  }

  return {
    head,
    logKey,
    async endJob(jobId, output = 'I am a test.', file = Buffer.from(output)) {
      const { rows } = await db.pool.query<{ idx: number; region: Region | null }>(
        'select idx, region from executions where job_id = $1 order by idx',
        [jobId],
      );
      for (const { idx, region } of rows) {
        await endExecution(jobId, idx, region, output, file);
        await attest({ job: jobId, indexes: [idx], reason: 'ended' });
      }
    },
    startSequencing() {
      const sequencer = startSequencer({
        pool: db.pool,
        databaseUrl: db.url,
        logId: head.logId,
        logKeys: fixedLogKeyring(logKey),
        notifier,
        wakeups,
        log,
      });
      sequencers.push(sequencer);
      return sequencer;
    },
    async sizeReaches(size) {
      // Shown, not only there: it is signed after it is committed.
      const reader = createLogReader(db.pool, head.logId);
      await eventually(async () =>
        ((await reader.newestCheckpoint())?.size ?? 0) >= size ? true : undefined,
      );
    },
    async [Symbol.asyncDispose]() {
      for (const sequencer of sequencers) await sequencer[Symbol.asyncDispose]();
      await notifier[Symbol.asyncDispose]();
      await wakeups[Symbol.asyncDispose]();
    },
  };
}
