import {
  Client,
  Connection,
  isGrpcServiceError,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { startInterceptor } from './temporal-traces.ts';

/** Longest wait for one answer of Temporal; a start or a describe takes milliseconds. */
const CALL_TIMEOUT_MS = 5_000;
/** A health answer waits for its slowest probe. */
const PROBE_TIMEOUT_MS = 1_000;

export interface TemporalSettings {
  address: string;
  namespace: string;
  /** `<prefix>beacon`; the queue of a backend is `<prefix>backend-<kind>`. */
  taskQueue: string;
  /** Where the SDK of a worker serves its metrics, `ip:port`; default nowhere. */
  metricsAddress?: string | undefined;
}

export interface StartOptions {
  /**
   * Whose workflow it is, at most 64 bytes: Temporal hands out the tasks of all keys in turn, also those of the workflow's
   * activities and children, which inherit it (where `matching.enableFairness` is on; docs/decisions.md).
   */
  fairnessKey: string;
  /** Starts a workflow that has ended anew. */
  again?: boolean;
}

export interface WorkflowStarter extends AsyncDisposable {
  /** Starts a workflow, or finds it running. `closed` = one with this id has already ended. */
  start(
    type: string,
    workflowId: string,
    input: unknown,
    options: StartOptions,
  ): Promise<'started' | 'closed'>;
  /** Asks a workflow to cancel. `gone` = Temporal does not know it, or it has ended. */
  cancel(workflowId: string): Promise<'asked' | 'gone'>;
  /** What Temporal knows of a workflow id. */
  look(workflowId: string): Promise<'open' | 'closed' | 'unknown'>;
}

/** A client of Temporal for the relay, connecting lazily, with a bound on every call. */
export function createWorkflowStarter({ address, namespace, taskQueue }: TemporalSettings): WorkflowStarter {
  const connection = Connection.lazy({ address, connectTimeout: CALL_TIMEOUT_MS });
  const client = new Client({ connection, namespace, interceptors: { workflow: [startInterceptor] } });
  const bounded = <T>(call: () => Promise<T>): Promise<T> =>
    connection.withDeadline(Date.now() + CALL_TIMEOUT_MS, call);

  return {
    start: (type, workflowId, input, { fairnessKey, again = false }) =>
      bounded(async () => {
        try {
          await client.workflow.start(type, {
            workflowId,
            taskQueue,
            args: [input],
            priority: { fairnessKey },
            workflowIdReusePolicy: again ? 'ALLOW_DUPLICATE' : 'REJECT_DUPLICATE',
            workflowIdConflictPolicy: 'USE_EXISTING',
          });
          return 'started';
        } catch (error) {
          if (error instanceof WorkflowExecutionAlreadyStartedError) return 'closed';
          throw error;
        }
      }),
    cancel: (workflowId) =>
      bounded(async () => {
        try {
          await client.workflow.getHandle(workflowId).cancel();
          return 'asked';
        } catch (error) {
          if (error instanceof WorkflowNotFoundError) return 'gone';
          throw error;
        }
      }),
    look: (workflowId) =>
      bounded(async () => {
        try {
          const { status } = await client.workflow.getHandle(workflowId).describe();
          return status.name === 'RUNNING' || status.name === 'PAUSED' ? 'open' : 'closed';
        } catch (error) {
          if (error instanceof WorkflowNotFoundError) return 'unknown';
          throw error;
        }
      }),
    async [Symbol.asyncDispose]() {
      await connection.close();
    },
  };
}

/** gRPC INVALID_ARGUMENT: Temporal will never take this request. */
const INVALID_ARGUMENT = 3;

/** Whether telling Temporal the same again could succeed: everything but a request that it calls invalid. */
export function isRetryable(error: unknown): boolean {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return !(isGrpcServiceError(cause) && (cause.code as number) === INVALID_ARGUMENT);
}

/** Whether the Temporal frontend serves, for health answers. */
export function createTemporalProbe(address: string): { check(): Promise<void> } & AsyncDisposable {
  const connection = Connection.lazy({ address, connectTimeout: PROBE_TIMEOUT_MS });
  return {
    async check() {
      await connection.withDeadline(Date.now() + PROBE_TIMEOUT_MS, () => connection.healthService.check({}));
    },
    [Symbol.asyncDispose]: () => connection.close(),
  };
}
