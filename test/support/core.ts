import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { generateReceiptKey } from '../../attestation/keys/receipt-key.ts';
import { fixedSigning } from '../../attestation/receipt/signing.ts';
import { createAttestActivities } from '../../activities/attest.ts';
import { createAttester } from '../../activities/attester.ts';
import { createExecuteActivities } from '../../activities/execute.ts';
import { createNegotiateActivities } from '../../activities/negotiate.ts';
import type { Backend } from '../../backends/backend.ts';
import type { PlanSettings } from '../../domain/jobspec/expand.ts';
import { createBusinessEvents } from '../../observability/events.ts';
import { createLogger } from '../../observability/log.ts';
import { createMetrics } from '../../observability/metrics.ts';
import { createSubmitter } from '../../store/submit.ts';
import { relayOnce, type RelayDeps } from '../../worker/relay.ts';
import { createWorkflowStarter, type WorkflowStarter } from '../../worker/temporal.ts';
import { startTemporalWorkers, type TemporalWorkers } from '../../worker/temporal-workers.ts';
import { jobSpec, signedSpec, submitOf, type SpecOptions } from './jobs.ts';
import { testDatabase, type TestDatabase } from './postgres.ts';
import { testTemporal } from './temporal.ts';
import { eventually } from './eventually.ts';

const LOG_ID = 'test';

/** Store, workflows and activities on a real PostgreSQL and a real Temporal, around a backend that a test scripts. */
export interface Core extends AsyncDisposable {
  db: TestDatabase;
  client: Client;
  /** For processes that work for the same jobs. */
  env: { DATABASE_URL: string; TEMPORAL_ADDRESS: string; TEMPORAL_NAMESPACE: string };
  temporal: WorkflowStarter;
  relay: RelayDeps;
  /** Submits a job and tells Temporal of it; its id. */
  start(spec?: SpecOptions, plan?: Partial<PlanSettings>): Promise<string>;
  submit(spec?: SpecOptions, plan?: Partial<PlanSettings>): Promise<string>;
  /** The state of a job once it has ended, which is waited for at most `withinMs`, default as `eventually`. */
  ended(jobId: string, withinMs?: number): Promise<string>;
  /** Events in the closed history of a workflow; recorded under test/histories when BEACON_RECORD_HISTORIES=1. */
  history(workflowId: string, recordAs?: string): Promise<{ type: string }[]>;
  /** Starts another worker on the same queues, beside the one that runs. */
  addWorker(): Promise<TemporalWorkers>;
  stopWorker(): Promise<void>;
}

export interface CoreOptions {
  /** Whether the worker that executes also attests, as `beacon worker` with all its queues does; default true. */
  attestsAtOnce?: boolean;
  /** Serves `backend-golem` too. */
  golem?: Backend;
}

export async function startCore(
  backend: Backend,
  { attestsAtOnce = true, golem }: CoreOptions = {},
): Promise<Core> {
  const db = await testDatabase();
  const { address, namespace } = await testTemporal();
  const settings = { address, namespace, taskQueue: 'beacon' };
  const log = createLogger('test', 'error');
  const events = createBusinessEvents(log, createMetrics());
  const key = generateReceiptKey();
  await db.pool.query('insert into receipt_keys (key_id, spki) values ($1, $2)', [key.id, key.spki]);
  await db.pool.query(`insert into log_state (log_id, origin, root) values ($1, 'test', sha256(''))`, [
    LOG_ID,
  ]);

  const committed = (): void => undefined;
  const { pool } = db;
  const software = { name: 'beacon', version: 'test' };
  const attester = createAttester({
    pool,
    signing: fixedSigning(LOG_ID, key),
    software,
    events,
    committed,
  });
  const executing = (kind: string, one: Backend) => {
    const deps = { pool, backends: new Map([[kind, one]]), events, committed };
    return {
      name: `backend-${kind}`,
      activities: {
        ...createExecuteActivities({ ...deps, attester: attestsAtOnce ? attester : undefined }),
        ...createNegotiateActivities(deps),
      },
    };
  };
  const addWorker = () =>
    startTemporalWorkers(
      settings,
      [
        { name: 'beacon', activities: createAttestActivities(attester) },
        executing('local', backend),
        ...(golem === undefined ? [] : [executing('golem', golem)]),
      ],
      log,
    );
  let worker: TemporalWorkers | undefined = await addWorker();
  const stopWorker = async (): Promise<void> => {
    await worker?.[Symbol.asyncDispose]();
    worker = undefined;
  };
  const temporal = createWorkflowStarter(settings);
  const submitter = createSubmitter({ pool, notifier: { notify: committed } });
  const connection = await Connection.connect({ address });
  const client = new Client({ connection, namespace });
  const relay: RelayDeps = {
    pool,
    temporal,
    events,
    workflowWindow: 100,
    wakeups: { next: () => Promise.resolve(), [Symbol.asyncDispose]: () => Promise.resolve() },
  };
  const submit: Core['submit'] = async (spec, plan) => {
    const job = submitOf(signedSpec(jobSpec(spec)), plan);
    const submitted = await submitter.submit(job);
    if (submitted.kind !== 'accepted') throw new Error(`not accepted: ${submitted.kind}`);
    return job.id;
  };

  return {
    db,
    client,
    env: { DATABASE_URL: db.url, TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace },
    temporal,
    relay,
    submit,
    async start(spec, plan) {
      const id = await submit(spec, plan);
      await relayOnce(relay);
      return id;
    },
    ended: (jobId, withinMs) =>
      eventually(async () => {
        const { rows } = await pool.query<{ state: string }>('select state from jobs where id = $1', [jobId]);
        const state = rows[0]?.state ?? 'missing';
        return state === 'accepted' || state === 'running' ? undefined : state;
      }, withinMs),
    async history(workflowId, recordAs) {
      const handle = client.workflow.getHandle(workflowId);
      await eventually(async () => ((await handle.describe()).status.name === 'RUNNING' ? undefined : true));
      const history = await handle.fetchHistory();
      if (recordAs !== undefined && process.env.BEACON_RECORD_HISTORIES === '1') {
        const file = path.join(import.meta.dirname, '../histories', `${recordAs}.json`);
        await mkdir(path.dirname(file), { recursive: true });
        await writeFile(
          file,
          `${JSON.stringify({ id: workflowId, history: JSON.parse(historyToJSON(history)) as object })}\n`,
        );
      }
      return (history.events ?? []).map((event) => ({ type: String(event.eventType) }));
    },
    addWorker,
    stopWorker,
    async [Symbol.asyncDispose]() {
      await stopWorker();
      await temporal[Symbol.asyncDispose]();
      await submitter[Symbol.asyncDispose]();
      await connection.close();
      await db[Symbol.asyncDispose]();
    },
  };
}
