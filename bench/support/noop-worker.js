/** `beacon worker` with the no-op backend of the bench in the place of the local one; everything else is the product's. */
import { readSettings } from '../../dist/config/settings.js';
import { createLogger } from '../../dist/observability/log.js';
import { startWorkerRole } from '../../dist/worker/worker-role.js';
import { noopBackend } from './noop-backend.js';

const settings = readSettings(process.env);
const log = createLogger('worker', settings.LOG_LEVEL);
const role = await startWorkerRole(settings, log, undefined, async () => noopBackend());
const stop = async () => {
  await role[Symbol.asyncDispose]();
  process.exit(0);
};
process.once('SIGTERM', () => void stop());
process.once('disconnect', () => void stop());
process.send?.({ ready: true });
await role.failed;
