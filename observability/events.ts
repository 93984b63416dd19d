import type { FailureCode, FailureSource } from '../domain/failure.ts';
import type { TerminalOutcome } from '../domain/states.ts';
import type { Log } from './log.ts';
import type { Metrics, NegotiationOutcome, WitnessResult } from './metrics.ts';

/** Shown for an execution that no region took. */
const NO_REGION = 'none';

export interface ExecutionEnded {
  executionId: string;
  jobId: string | null;
  region: string | null;
  outcome: TerminalOutcome;
  /** Running time of the deciding attempt; null when nothing ran. */
  durationMs: number | null;
  failure?: { code: FailureCode; source: FailureSource } | undefined;
}

/** What happened to the business, one function per event: each writes its log line and counts. None can throw. */
export type BusinessEvents = ReturnType<typeof createBusinessEvents>;

export function createBusinessEvents(log: Log, metrics: Metrics) {
  return cannotThrow(log, {
    // `jobs_enqueued_total`, `jobs_processed_total`, `jobs_failed_total` are kept exactly in the database, not here.
    jobAccepted(event: { jobId: string; executions: number; form: string }): void {
      log.info({ job_id: event.jobId, executions: event.executions, form: event.form }, 'job accepted');
    },
    /** The seeds' runbooks look for `job processed`; it is written for every end of a job. */
    jobEnded(event: { jobId: string; status: TerminalOutcome; completed: number; total: number }): void {
      log.info(
        {
          job_id: event.jobId,
          id: event.jobId,
          status: event.status,
          completed: event.completed,
          total: event.total,
        },
        'job processed',
      );
    },
    jobCancelRequested(event: { jobId: string }): void {
      log.info({ job_id: event.jobId }, 'job cancel requested');
    },

    /** First step of a job: how long it waited since it was accepted, by the first region of its plan. */
    jobStarted(event: { jobId: string; region: string; waitedMs: number }): void {
      log.debug({ job_id: event.jobId, waited_ms: event.waitedMs }, 'job started');
      metrics.queueLatency.observe({ region: event.region }, Math.max(0, event.waitedMs) / 1000);
    },
    executionStarted(event: {
      executionId: string;
      jobId: string | null;
      attempt: number;
      region: string | null;
    }) {
      log.debug(
        {
          execution_id: event.executionId,
          job_id: event.jobId,
          attempt: event.attempt,
          region: event.region,
        },
        'execution started',
      );
      if (event.attempt > 1) metrics.jobsRetried.inc();
    },
    attemptFailed(event: { executionId: string; attempt: number; code: FailureCode; message: string }): void {
      log.warn(
        {
          execution_id: event.executionId,
          attempt: event.attempt,
          code: event.code,
          reason: event.message,
        },
        'attempt failed',
      );
    },
    /** A look at the market ended. */
    marketLooked(event: {
      region: string;
      seen: number;
      claimed: number;
      toProbe: number;
      dropped: Readonly<Record<string, number>>;
    }): void {
      const { region, seen, claimed, toProbe, dropped } = event;
      log.debug({ region, seen, claimed, to_probe: toProbe, dropped }, 'market looked at');
      metrics.negotiationSeen.inc({ region }, seen);
      metrics.negotiationMatched.inc({ region }, claimed);
      metrics.negotiationP3.inc({ region }, toProbe);
      metrics.golemProviders.set({ region }, claimed + toProbe);
    },
    negotiationEnded(event: { region: string; outcome: NegotiationOutcome; durationMs: number }): void {
      const { region, outcome, durationMs } = event;
      metrics.negotiationDuration.observe({ region, outcome }, durationMs / 1000);
    },
    negotiationNotKept(event: { executionId: string; error: unknown }): void {
      log.warn({ execution_id: event.executionId, err: event.error }, 'negotiation not kept');
    },
    probeEnded(event: { region: string; passed: boolean }): void {
      (event.passed ? metrics.probesPassed : metrics.probesFailed).inc({ region: event.region });
    },
    /** An attempt ended at a backend; those on Golem have metrics of their own. */
    attemptEnded(event: { backend: string; region: string; failed: boolean; durationMs: number | null }) {
      const { backend, region, failed, durationMs } = event;
      if (backend !== 'golem') return;
      metrics.golemExecutions.inc({ region, status: failed ? 'failed' : 'succeeded' });
      if (durationMs !== null) metrics.golemDuration.observe({ region }, durationMs / 1000);
    },
    walletRead(event: { balance: number }): void {
      metrics.golemBalance.set(event.balance);
    },
    /** What the sweeper did about an ended attempt. */
    swept(event: { executionId: string; attempt: number; result: string; note?: string | undefined }): void {
      const { executionId, attempt, result, note } = event;
      log.info({ execution_id: executionId, attempt, result, note }, 'swept');
      metrics.golemSwept.inc({ result });
    },
    /** The seeds' runbooks look for `circuit breaker`. */
    breakerMoved(event: { name: string; from: string; to: string }): void {
      log.warn(event, 'circuit breaker moved');
      metrics.breakerMoves.inc({ name: event.name, to: event.to });
    },
    /** An execution could not be attested together with its attempt; its workflow attests it. */
    attestDeferred(event: { executionId: string; error: unknown }): void {
      log.warn({ execution_id: event.executionId, err: event.error }, 'attested later');
    },
    executionEnded(event: ExecutionEnded): void {
      const region = event.region ?? NO_REGION;
      log.info(
        {
          execution_id: event.executionId,
          job_id: event.jobId,
          region,
          status: event.outcome,
          duration_ms: event.durationMs,
          code: event.failure?.code,
        },
        'execution ended',
      );
      if (event.durationMs !== null) {
        metrics.executionDuration.observe({ region, status: event.outcome }, event.durationMs / 1000);
      }
      if (event.failure !== undefined) {
        metrics.executionFailures.inc({
          region,
          error_type: event.failure.code,
          component: event.failure.source,
        });
      }
    },

    outboxStarted(): void {
      log.info('outbox publisher started');
    },
    outboxPublished(count: number): void {
      metrics.outboxPublished.inc(count);
    },
    outboxEnqueueError(event: { jobId: string; kind: string; error: unknown }): void {
      log.error({ job_id: event.jobId, kind: event.kind, err: event.error }, 'outbox enqueue error');
      metrics.outboxErrors.inc();
    },
    outboxMarkError(event: { error: unknown }): void {
      log.error({ err: event.error }, 'outbox mark published error');
      metrics.outboxErrors.inc();
    },

    checkpointSigned(event: { logId: string; size: number; entries: number; durationMs: number }): void {
      log.debug(
        {
          log_id: event.logId,
          size: event.size,
          entries: event.entries,
          duration_ms: event.durationMs,
        },
        'checkpoint signed',
      );
      metrics.transparencyAppended.inc(event.entries);
      metrics.transparencyCheckpoints.inc();
      metrics.transparencyAppendDuration.observe(event.durationMs / 1000);
    },
    /** Two sequencers led one log at the same time; the second batch had no effect. */
    sequencersMet(event: { logId: string }): void {
      log.error({ log_id: event.logId }, 'another sequencer moved the head of the log; stepping back');
      metrics.transparencyConflicts.inc();
    },
    /** Stored bytes are not those that their address names; they were not served. */
    blockDamaged(event: { address: string }): void {
      log.error({ address: event.address }, 'stored bytes are damaged');
      metrics.ipfsBlocksDamaged.inc();
    },
    directoryMade(event: { jobId: string; bytes: number }): void {
      log.debug({ job_id: event.jobId, bytes: event.bytes }, 'directory of a job made');
      metrics.ipfsBundlesCreated.inc();
      metrics.ipfsBundleSize.observe(event.bytes);
    },
    gatewayAnswered(event: { seconds: number }): void {
      metrics.ipfsGatewayLatency.observe(event.seconds);
    },
    published(event: { target: string; jobId: string; cid: string }): void {
      log.info({ target: event.target, job_id: event.jobId, cid: event.cid }, 'published');
      metrics.ipfsPinOperations.inc({ target: event.target, result: 'pinned' });
    },
    publishFailed(event: { target: string; jobId: string; error: unknown }): void {
      log.warn({ target: event.target, job_id: event.jobId, err: event.error }, 'not published');
      metrics.ipfsPinOperations.inc({ target: event.target, result: 'failed' });
    },
    /** A pending entry that will never stand in the log. */
    entryRefused(event: { logId: string; subjectKind: string; subjectId: string; reason: string }): void {
      log.error(
        {
          log_id: event.logId,
          subject_kind: event.subjectKind,
          subject_id: event.subjectId,
          reason: event.reason,
        },
        'log entry refused',
      );
      metrics.transparencyRefused.inc();
    },
    /** A witness was asked to cosign a checkpoint. */
    witnessAsked(event: {
      logId: string;
      witness: string;
      size: number;
      kind: WitnessResult;
      reason?: string | undefined;
    }): void {
      const { logId, witness, size, kind, reason } = event;
      const line = { log_id: logId, witness, size, result: kind, reason };
      if (kind === 'cosigned') log.debug(line, 'witness asked');
      else if (kind === 'inconsistent') log.error(line, 'a witness contradicts the log');
      else log.warn(line, 'a witness did not cosign');
      metrics.transparencyWitnessRequests.inc({ witness, result: kind });
    },
    logAudited(event: { logId: string; size: number; valid: boolean; reason?: string }): void {
      if (!event.valid)
        log.error({ log_id: event.logId, size: event.size, reason: event.reason }, 'transparency log broken');
      if (!event.valid) metrics.transparencyVerificationFailures.inc();
      metrics.transparencyIntegrity.set(event.valid ? 1 : 0);
    },

    feedClientOpened(event: { clients: number }): void {
      metrics.websocketConnections.set(event.clients);
    },
    feedClientClosed(event: { clients: number; code: number; reason: string; sent: number }): void {
      metrics.websocketConnections.set(event.clients);
      log.debug({ code: event.code, reason: event.reason, sent: event.sent }, 'feed client closed');
    },
    feedSlowConsumer(event: { address: string; bufferedBytes: number }): void {
      log.warn(
        { address: event.address, buffered_bytes: event.bufferedBytes },
        'feed client too slow, closed',
      );
      metrics.websocketDropped.inc();
    },
    feedBroadcast(count: number): void {
      metrics.websocketBroadcast.inc(count);
    },

    /** `path` is the route's pattern, never the URL: labels stay few. */
    httpAnswered(event: { path: string; method: string; status: number; seconds: number }): void {
      metrics.httpRequests.inc({ path: event.path, method: event.method, status: String(event.status) });
      metrics.httpDuration.observe({ path: event.path, method: event.method }, event.seconds);
    },
  });
}

type Reports = Record<string, (event: never) => void>;

/** A fault in counting or logging must never become a fault of what is counted. */
function cannotThrow<T extends Reports>(log: Log, reports: T): T {
  const guarded = Object.entries(reports).map(([name, report]) => [
    name,
    (event: never) => {
      try {
        report(event);
      } catch (error) {
        try {
          log.warn({ err: error, event: name }, 'business event not recorded');
        } catch {
          // Nothing is left that could take it.
        }
      }
    },
  ]);
  return Object.fromEntries(guarded) as T;
}
