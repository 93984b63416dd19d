import { expect, onTestFinished, test } from 'vitest';
import { readSettings } from '../config/settings.ts';
import { createLogger } from '../observability/log.ts';
import { requestCancel } from '../store/cancel.ts';
import { listPublications } from '../store/publications.ts';
import { createSubmitter } from '../store/submit.ts';
import { eventually } from '../test/support/eventually.ts';
import { goProgram } from '../test/support/go-program.ts';
import { jobSpec, signedSpec, submitOf } from '../test/support/jobs.ts';
import { startKubo } from '../test/support/kubo.ts';
import { describeNeeding } from '../test/support/needing.ts';
import { testDatabase } from '../test/support/postgres.ts';
import { temporaryFolder } from '../test/support/temporary-folder.ts';
import { testTemporal } from '../test/support/temporal.ts';
import { startRelayRole } from './relay-role.ts';
import { startWorkerRole } from './worker-role.ts';

const program = await goProgram('kubo');

describeNeeding('a relay and a worker that know a Kubo', program.missing, () => {
  test('publish a job by themselves when it has ended', async () => {
    const db = await testDatabase();
    const folder = await temporaryFolder();
    const kubo = await startKubo(program.path);
    onTestFinished(async () => {
      await kubo[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
      await db[Symbol.asyncDispose]();
    });
    const { address, namespace } = await testTemporal();
    const settings = readSettings({
      DATABASE_URL: db.url,
      TEMPORAL_ADDRESS: address,
      TEMPORAL_NAMESPACE: namespace,
      BEACON_STATE: folder.path,
      IPFS_NODE_URL: kubo.url,
      IPFS_PUBLISH_INTERVAL: '1',
    });
    const log = createLogger('test', 'silent');
    await using _relay = await startRelayRole(settings, log);
    await using _worker = await startWorkerRole(settings, log, ['beacon', 'publish']);
    await using submitter = createSubmitter({ pool: db.pool, notifier: { notify: () => undefined } });
    const job = submitOf(signedSpec(jobSpec()));
    await submitter.submit(job);
    // Ends without a backend.
    await requestCancel(db.pool, { jobId: job.id, actor: 'test' });
    const facts = await eventually(async () => {
      const [found] = await listPublications(db.pool, job.id);
      return found === undefined || found.pinned_at === null ? undefined : found;
    });
    expect(facts).toMatchObject({ target: 'kubo', stored_at: expect.any(Date), announced_at: null });
    const { rows } = await db.pool.query<{ directory_cid: string }>('select directory_cid from jobs');
    expect(await kubo.rpc('pin/ls?type=recursive')).toContain(rows[0]!.directory_cid);
  }, 60_000);
});
