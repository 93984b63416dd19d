import { randomBytes } from 'node:crypto';
import { importBytes } from 'ipfs-unixfs-importer';
import type { CID } from 'multiformats/cid';
import { OPERATOR_TOKEN, signedJob, testApi, testKey, type TestApi } from './api.ts';
import { attestedLog, type AttestedLog } from './attested.ts';

export const MIB = 1024 * 1024;
export const operator = { authorization: `Bearer ${OPERATOR_TOKEN}` };

/** What an importer of others makes of a file. */
export async function importedFile(bytes: Uint8Array): Promise<{ cid: string; leaves: string[] }> {
  const leafCids: string[] = [];
  const store = { put: (cid: CID) => (leafCids.push(cid.toString()), cid) };
  const { cid } = await importBytes(bytes, store, { profile: 'unixfs-v1-2025', blockWriteConcurrency: 1 });
  return { cid: cid.toString(), leaves: leafCids.filter((leaf) => leaf.startsWith('bafkrei')) };
}

/** An ended job with a file of several blocks, and a private one, whose names begin with `hidden`. */
export interface LargeFile extends AsyncDisposable {
  api: TestApi;
  log: AttestedLog;
  large: Buffer;
  secret: Buffer;
  job: string;
  /** The directory of the job. */
  root: string;
  execution: string;
  file: string;
  leaves: string[];
  hidden: string;
  hiddenFile: string;
  hiddenRoot: string;
  /** What the job's directory was before it had ended. */
  early: unknown;
}

export async function largeFile(): Promise<LargeFile> {
  const large = randomBytes(3 * MIB + 5);
  const secret = randomBytes(MIB + 1);
  const api = await testApi();
  const log = await attestedLog(api.db);
  const submit = async (over: object): Promise<string> =>
    (await api.post(signedJob(testKey(), { questions: [], ...over }))).json.id as string;
  const job = await submit({ constraints: { regions: ['US', 'EU'], min_regions: 1 } });
  const hidden = await submit({ visibility: 'private', constraints: { regions: ['US'], min_regions: 1 } });
  const early: unknown = (await api.get(`/api/v1/jobs/${job}/directory`)).json.code;
  await log.endJob(job, 'I am a test.', large);
  await log.endJob(hidden, 'I am a secret.', secret);
  const { cid: file, leaves } = await importedFile(large);
  return {
    api,
    log,
    large,
    secret,
    job,
    root: (await api.get(`/api/v1/jobs/${job}/directory`)).json.directory_cid,
    execution: (await api.get(`/api/v1/jobs/${job}/executions`)).json.executions[0].id,
    file,
    leaves,
    hidden,
    hiddenFile: (await importedFile(secret)).cid,
    hiddenRoot: (await api.get(`/api/v1/jobs/${hidden}/directory`, operator)).json.directory_cid,
    early,
    async [Symbol.asyncDispose]() {
      await log[Symbol.asyncDispose]();
      await api[Symbol.asyncDispose]();
    },
  };
}
