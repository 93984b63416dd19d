import { afterEach, beforeEach, expect, it } from 'vitest';
import { generateLogKey } from '../attestation/keys/log-key.ts';
import { openLog } from '../attestation/log/open.ts';
import { createBusinessEvents } from '../observability/events.ts';
import { createLogger } from '../observability/log.ts';
import { createMetrics } from '../observability/metrics.ts';
import { eventually } from '../test/support/eventually.ts';
import { testDatabase, type TestDatabase } from '../test/support/postgres.ts';
import { startLogAudit } from './log-audit.ts';

let db: TestDatabase;
beforeEach(async () => {
  db = await testDatabase();
});
afterEach(() => db[Symbol.asyncDispose]());

it('tells round by round whether the log holds', async () => {
  const { logId, origin } = await openLog(db.pool);
  const metrics = createMetrics();
  const log = createLogger('test', 'silent');
  await using _audit = startLogAudit({
    pool: db.pool,
    logId,
    keys: async () => [generateLogKey().signerFor(origin)],
    events: createBusinessEvents(log, metrics),
    log,
    everyMs: 1,
    firstAfterMs: 1,
  });
  const integrityIs = (value: number) =>
    eventually(async () => {
      const { values } = await metrics.transparencyIntegrity.get();
      return values[0]?.value === value ? true : undefined;
    });
  await integrityIs(1);
  await db.pool.query('update log_state set published = 7');
  await integrityIs(0);
  expect((await metrics.transparencyVerificationFailures.get()).values[0]?.value).toBeGreaterThan(0);
  await db.pool.query('update log_state set published = 0');
  await integrityIs(1);
});
