/** Runs in a process of its own: one Temporal worker with a no-op activity, with the settings of Beacon's workers. */
import { fileURLToPath } from 'node:url';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';

process.on('disconnect', () => process.exit(0));
process.on('SIGTERM', () => process.exit(0));
Runtime.install({ logger: new DefaultLogger('WARN'), shutdownSignals: [] });
const connection = await NativeConnection.connect({ address: process.env.TEMPORAL_ADDRESS });
const worker = await Worker.create({
  connection,
  namespace: 'default',
  taskQueue: 'raw',
  workflowsPath: fileURLToPath(new URL('raw-workflows.js', import.meta.url)),
  activities: { noop: async ({ index }) => ({ kind: 'staged', attempt: index }) },
  maxCachedWorkflows: 120,
  maxConcurrentActivityTaskExecutions: Number(process.env.PARALLEL),
});
const running = worker.run();
process.send?.({ ready: true });
await running;
