import { randomBytes } from 'node:crypto';
import { OPERATOR_TOKEN, signedJob, testApi, testKey, type TestApi } from './api.ts';
import { attestedLog, type AttestedLog } from './attested.ts';
import { eventually } from './eventually.ts';
import { putPending } from './pending.ts';

export const operator = { authorization: `Bearer ${OPERATOR_TOKEN}` };
export const T = '/api/v1/transparency';

export interface ListedCheckpoint {
  tree_size: number;
  root: string;
  checkpoint: string;
}

/** A log behind the API: the entries of two jobs, one of them private, and 600 others; a third job has not ended. */
export interface ServedEntries extends AsyncDisposable {
  api: TestApi;
  log: AttestedLog;
  keyId: string;
  job: string;
  hidden: string;
  late: string;
  size: number;
  submit(over?: object): Promise<string>;
  executionsOf(id: string): Promise<{ id: string; ipfs_cid: string }[]>;
  shown(entries: number): Promise<true>;
  /** Every signed head that is kept, newest first, page by page. */
  checkpoints(): Promise<ListedCheckpoint[]>;
}

export async function servedEntries(): Promise<ServedEntries> {
  const api = await testApi();
  const log = await attestedLog(api.db);
  const submit = async (over: object = {}): Promise<string> =>
    (await api.post(signedJob(testKey(), { questions: [], ...over }))).json.id as string;
  const shown = (entries: number) =>
    eventually(async () =>
      (await api.get(`${T}/root`)).json.tree_size >= entries ? (true as const) : undefined,
    );
  const { rows } = await api.db.pool.query<{ key_id: string }>('select key_id from key_entries');
  const keyId = rows[0]!.key_id;
  const [job, hidden, late] = [await submit(), await submit({ visibility: 'private' }), await submit()];
  log.startSequencing();
  await log.endJob(job);
  await shown(5);
  await log.endJob(hidden);
  await shown(9);
  const size = 609;
  await putPending(
    api.db.pool,
    log.head.logId,
    Array.from({ length: 600 }, () => ({ leaf: randomBytes(40), keyId })),
  );
  await shown(size);
  return {
    api,
    log,
    keyId,
    job,
    hidden,
    late,
    size,
    submit,
    async executionsOf(id) {
      const { json } = await api.get(`/api/v1/jobs/${id}/executions`, operator);
      return json.executions as { id: string; ipfs_cid: string }[];
    },
    shown,
    async checkpoints() {
      const all: ListedCheckpoint[] = [];
      for (let before = ''; ;) {
        const { json } = await api.get(`${T}/checkpoints?limit=2${before}`);
        all.push(...(json.checkpoints as ListedCheckpoint[]));
        if (json.next_before === null) return all;
        before = `&before=${json.next_before}`;
      }
    },
    async [Symbol.asyncDispose]() {
      await log[Symbol.asyncDispose]();
      await api[Symbol.asyncDispose]();
    },
  };
}
