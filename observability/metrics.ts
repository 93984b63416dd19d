import { PerformanceObserver } from 'node:perf_hooks';
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { REGIONS } from '../domain/jobspec/region.ts';
import { FAILURES } from '../domain/failure.ts';
import { TERMINAL_OUTCOMES } from '../domain/states.ts';

/** Executions take from 10 ms (a shell builtin) to half an hour (a model on a slow provider). */
const EXECUTION_BUCKETS_S = [
  0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_200, 1_800,
];
/** A look takes seconds, an approval up to a minute and a half. */
const NEGOTIATION_BUCKETS_S = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 90, 120, 300];
/** HTTP answers: the alert asks for 2 s, the benches for 50 ms. */
const HTTP_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10];
/** From `attest`'s commit to a signed checkpoint: 100 ms is the aim. */
const CHECKPOINT_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** `conflict` is also how a witness tells what it has. */
export type WitnessResult = 'cosigned' | 'conflict' | 'inconsistent' | 'failed';
/** A receipt and its envelope take 4 KiB; a job may have 64 MiB for each of its executions. */
const BUNDLE_BUCKETS_BYTES = [4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576].map(
  (kib) => kib * 1_024,
);

/** How looking for a provider ended, as the older service named it. */
const NEGOTIATION_OUTCOMES = [
  'strict_match',
  'relax_match',
  'needs_probe',
  'probe_verified',
  'no_match',
] as const;
export type NegotiationOutcome = (typeof NEGOTIATION_OUTCOMES)[number];

export type Metrics = ReturnType<typeof createMetrics>;

/**
 * The metrics that one process counts. `shared` is published and merged over all processes (snapshots.ts) and shown on
 * the API's `/metrics`; `own` is about this process alone. What the database knows better (outbox, `jobs_*_total`) is
 * read from it at scrape. Call once per process.
 */
export function createMetrics() {
  const shared = new Registry();
  const own = new Registry();
  const registers = [shared];
  const counter = <T extends string = never>(name: string, help: string, labelNames: readonly T[] = []) =>
    new Counter<T>({ name, help, labelNames, registers });
  const histogram = <T extends string>(
    name: string,
    help: string,
    labelNames: readonly T[],
    buckets: number[],
  ) => new Histogram<T>({ name, help, labelNames, buckets, registers });

  const metrics = {
    shared,
    own,
    httpRequests: counter('http_requests_total', 'HTTP requests answered.', ['path', 'method', 'status']),
    httpDuration: histogram(
      'http_request_duration_seconds',
      'Time from a request to its answer.',
      ['path', 'method'],
      HTTP_BUCKETS_S,
    ),
    outboxPublished: counter('outbox_published_total', 'Outbox rows that Temporal took.'),
    outboxErrors: counter('outbox_publish_errors_total', 'Outbox rows that could not be sent or marked.'),
    jobsRetried: counter('jobs_retried_total', 'Attempts of executions after their first.'),
    // Stays at zero: an execution that cannot go on fails; nothing is parked. Dashboards and alerts know the name.
    jobsDeadletter: counter(
      'jobs_deadletter_total',
      'Executions that were parked for an operator; none ever is.',
    ),
    websocketConnections: new Gauge({
      name: 'websocket_connections',
      help: 'Open feed connections.',
      registers,
    }),
    websocketBroadcast: counter(
      'websocket_messages_broadcast_total',
      'Events sent to feed clients, one per client.',
    ),
    websocketDropped: counter(
      'websocket_messages_dropped_total',
      'Times that a feed client was cut off because it did not keep up; nothing else is ever dropped.',
    ),
    executionDuration: histogram(
      'runner_execution_duration_seconds',
      'Running time of the deciding attempt.',
      ['region', 'status'],
      EXECUTION_BUCKETS_S,
    ),
    executionFailures: counter('runner_failures_total', 'Executions that did not complete.', [
      'region',
      'error_type',
      'component',
    ]),
    negotiationSeen: counter(
      'negotiation_offers_seen_total',
      'Offers that looks at the market saw, one for each look and provider.',
      ['region'],
    ),
    negotiationMatched: counter(
      'negotiation_offers_matched_p0p2_total',
      'Candidates whose region is claimed by a property, a subnet or a list.',
      ['region'],
    ),
    negotiationP3: counter('negotiation_offers_p3_total', 'Candidates that need a probe.', ['region']),
    probesPassed: counter('negotiation_probes_passed_total', 'Probes that saw the region asked for.', [
      'region',
    ]),
    probesFailed: counter('negotiation_probes_failed_total', 'Probes that did not.', ['region']),
    negotiationDuration: histogram(
      'negotiation_duration_seconds',
      'From a demand to an approved agreement, or to the end of looking for one.',
      ['region', 'outcome'],
      NEGOTIATION_BUCKETS_S,
    ),
    golemExecutions: counter('golem_executions_total', 'Attempts on Golem that ended.', ['region', 'status']),
    golemDuration: histogram(
      'golem_execution_duration_seconds',
      'Running time of attempts on Golem.',
      ['region'],
      EXECUTION_BUCKETS_S,
    ),
    // Absent for a region until somebody looked: zero means that nobody is there.
    golemProviders: new Gauge({
      name: 'golem_providers_available',
      help: 'Candidates of the newest look at the market, by region.',
      labelNames: ['region'],
      registers,
      aggregator: 'max',
    }),
    // Zero would mean an empty wallet, so it does not stand here before it was read.
    golemBalance: absentUntilSet(
      new Gauge({
        name: 'golem_wallet_balance_glm',
        help: 'GLM that yagna says the wallet holds.',
        registers,
        aggregator: 'max',
      }),
    ),
    golemSwept: counter('golem_swept_total', 'What the sweeper found of ended attempts, by what it did.', [
      'result',
    ]),
    breakerMoves: counter('circuit_breaker_transitions_total', 'Moves of circuit breakers.', ['name', 'to']),
    queueLatency: histogram(
      'runner_queue_latency_seconds',
      'Time from accepting a job to its first step.',
      ['region'],
      EXECUTION_BUCKETS_S,
    ),
    transparencyAppended: counter('transparency_entries_appended_total', 'Entries appended to the log.'),
    transparencyCheckpoints: counter('transparency_checkpoints_signed_total', 'Checkpoints signed.'),
    transparencyConflicts: counter(
      'transparency_sequencer_conflicts_total',
      'Times that a sequencer found the log moved on by another one and stepped back.',
    ),
    transparencyRefused: counter(
      'transparency_entries_refused_total',
      'Entries that will never stand in the log: their subject does with another leaf, or their key has ended.',
    ),
    transparencyAppendDuration: histogram(
      'transparency_append_duration_seconds',
      'Time from reading a batch to the commit of its checkpoint.',
      [],
      CHECKPOINT_BUCKETS_S,
    ),
    ipfsBundlesCreated: counter('ipfs_bundles_created_total', 'Directories of jobs that were made.'),
    ipfsBundleSize: histogram(
      'ipfs_bundle_size_bytes',
      'Bytes of all blocks of a directory of a job.',
      [],
      BUNDLE_BUCKETS_BYTES,
    ),
    ipfsGatewayLatency: histogram(
      'ipfs_gateway_latency_seconds',
      'Time from a request to the gateway to the end of its answer.',
      [],
      HTTP_BUCKETS_S,
    ),
    ipfsPinOperations: counter(
      'ipfs_pin_operations_total',
      'Trees that a place outside pinned, or did not.',
      ['target', 'result'],
    ),
    ipfsBlocksDamaged: counter(
      'ipfs_blocks_damaged_total',
      'Reads of stored bytes that were not those that their address names.',
    ),
    transparencyWitnessRequests: counter(
      'transparency_witness_requests_total',
      'Times that a witness was asked to cosign a checkpoint, by what it answered.',
      ['witness', 'result'],
    ),
    transparencyVerificationFailures: counter(
      'transparency_log_verification_failures_total',
      'Self-audits that found the log broken.',
    ),
    // Zero would mean a broken log, so it does not stand here before the first audit.
    transparencyIntegrity: absentUntilSet(
      new Gauge({
        name: 'transparency_log_integrity_valid',
        help: '1 when the last self-audit of the log held, 0 when it did not.',
        registers,
        aggregator: 'min',
      }),
    ),
  };

  for (const region of REGIONS) {
    metrics.queueLatency.zero({ region });
    for (const one of [
      metrics.negotiationSeen,
      metrics.negotiationMatched,
      metrics.negotiationP3,
      metrics.probesPassed,
      metrics.probesFailed,
    ])
      one.inc({ region }, 0);
    for (const outcome of NEGOTIATION_OUTCOMES) metrics.negotiationDuration.zero({ region, outcome });
    for (const status of ['succeeded', 'failed']) metrics.golemExecutions.inc({ region, status }, 0);
    metrics.golemDuration.zero({ region });
    for (const status of TERMINAL_OUTCOMES) metrics.executionDuration.zero({ region, status });
    for (const [error_type, { source }] of Object.entries(FAILURES)) {
      metrics.executionFailures.inc({ region, error_type, component: source }, 0);
    }
  }

  collectDefaultMetrics({ register: own });
  watchGc(own);
  new Gauge({
    name: 'memory_heap_alloc_bytes',
    help: 'Heap in use by this process.',
    registers: [own],
    collect() {
      this.set(process.memoryUsage().heapUsed);
    },
  });
  new Gauge({
    name: 'memory_heap_sys_bytes',
    help: 'Heap that this process took from the system.',
    registers: [own],
    collect() {
      this.set(process.memoryUsage().heapTotal);
    },
  });
  return metrics;
}

/** The last pause, as older dashboards show it; all of them are in `nodejs_gc_duration_seconds`. */
function watchGc(register: Registry): void {
  const gauge = new Gauge({
    name: 'gc_pause_duration_seconds',
    help: 'How long the last garbage collection of this process took.',
    registers: [register],
  });
  new PerformanceObserver((list) => {
    const last = list.getEntries().at(-1);
    if (last !== undefined) gauge.set(last.duration / 1000);
  }).observe({ entryTypes: ['gc'] });
}

function absentUntilSet(gauge: Gauge): Gauge {
  gauge.remove();
  return gauge;
}
