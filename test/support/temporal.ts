import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { inject } from 'vitest';

/** A new namespace is known to every part of the server after some 20 ms; a loaded machine takes longer. */
const NAMESPACE_READY_MS = 15_000;

export interface TestTemporal extends AsyncDisposable {
  address: string;
  /** This caller's own, so task queues and workflow ids of other tests are out of sight. */
  namespace: string;
}

/** A fresh namespace on the run's one real Temporal dev server. */
export async function testTemporal(): Promise<TestTemporal> {
  const address = process.env.BEACON_TEST_TEMPORAL_ADDRESS ?? inject('temporalAddress');
  if (address === null) throw new Error('this run has no Temporal server: unset BEACON_TEST_TEMPORAL=off');
  const namespace = `test-${randomBytes(6).toString('hex')}`;
  const connection = await Connection.connect({ address });
  try {
    await connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: msToTs('1 day'),
    });
    await untilUsable(connection, namespace);
  } finally {
    await connection.close();
  }
  // The dev server keeps everything in memory and ends with the run: there is nothing to give back.
  return { address, namespace, [Symbol.asyncDispose]: async () => undefined };
}

/** Each service of the server keeps its own list of namespaces: ask frontend and history, and matching. */
async function untilUsable(connection: Connection, namespace: string): Promise<void> {
  const { workflowService } = connection;
  const deadline = performance.now() + NAMESPACE_READY_MS;
  const known = async () => {
    try {
      await workflowService.describeTaskQueue({ namespace, taskQueue: { name: 'none' } });
      await workflowService.describeWorkflowExecution({ namespace, execution: { workflowId: 'none' } });
      return true;
    } catch (error) {
      return error instanceof Error && /workflow.*not found/i.test(error.message);
    }
  };
  while (!(await known())) {
    if (performance.now() > deadline) throw new Error(`namespace ${namespace} did not become usable`);
    await sleep(20);
  }
}
