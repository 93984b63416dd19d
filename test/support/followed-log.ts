import path from 'node:path';
import { generateReceiptKey, type ReceiptKey } from '../../attestation/keys/receipt-key.ts';
import { closeAndFollow } from '../../attestation/log/close.ts';
import { fileGuard } from '../../attestation/log/guard.ts';
import { findLog } from '../../store/log-state.ts';
import { signedJob, testApi, testKey, type TestApi } from './api.ts';
import { attestedLog, type AttestedLog } from './attested.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** Of the closed log, and of the one that follows it. */
type Both<T> = [closed: T, now: T];

export interface FollowedLog extends AsyncDisposable {
  api: TestApi;
  logs: Both<AttestedLog>;
  /** A job in each, of three executions. */
  jobs: Both<string>;
  vkeys: Both<string>;
  /** The receipt key of the newer one. */
  key: ReceiptKey;
  executionsOf(job: string): Promise<{ id: string; ipfs_cid: string }[]>;
}

/** A job in a log, the log closed, and another job in the log that follows. */
export async function followedLog(): Promise<FollowedLog> {
  const api = await testApi();
  const run = async (log: AttestedLog): Promise<[string, string]> => {
    const job = (await api.post(signedJob(testKey(), { questions: [] }))).json.id as string;
    await log.endJob(job);
    log.startSequencing();
    await log.sizeReaches(4);
    return [job, (await api.get('/api/v1/transparency/root')).json.vkey as string];
  };
  const first = await attestedLog(api.db);
  const [oldJob, oldVkey] = await run(first);
  await using folder = await temporaryFolder();
  const key = generateReceiptKey();
  const guard = fileGuard(path.join(folder.path, 'guard.json'));
  await closeAndFollow(api.db.pool, (await findLog(api.db.pool))!, key, { guard });
  const second = await attestedLog(api.db, key);
  const [newJob, newVkey] = await run(second);
  return {
    api,
    logs: [first, second],
    jobs: [oldJob, newJob],
    vkeys: [oldVkey, newVkey],
    key,
    async executionsOf(job) {
      const { json } = await api.get(`/api/v1/jobs/${job}/executions`);
      return json.executions as { id: string; ipfs_cid: string }[];
    },
    async [Symbol.asyncDispose]() {
      for (const log of [first, second]) await log[Symbol.asyncDispose]();
      await api[Symbol.asyncDispose]();
    },
  };
}
