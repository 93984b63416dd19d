import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { signedJob, testApi, testKey, type TestApi } from '../../test/support/api.ts';
import { attestedLog, type AttestedLog } from '../../test/support/attested.ts';

let api: TestApi;
let log: AttestedLog;
const urls = new Map<string, string>();

beforeAll(async () => {
  api = await testApi();
  log = await attestedLog(api.db);
  const job = (await api.post(signedJob(testKey(), { questions: [] }))).json.id as string;
  await log.endJob(job);
  log.startSequencing();
  // The key, three receipts, the summary.
  await log.sizeReaches(5);
  const { id, ipfs_cid: cid } = (await api.get(`/api/v1/jobs/${job}/executions`)).json.executions[0];
  const execution = `/api/v1/executions/${id}`;
  urls.set('a spec', `/api/v1/jobs/${job}/spec`);
  urls.set('a receipt', `${execution}/receipt`);
  urls.set('an output', `${execution}/output`);
  urls.set('a file', `${execution}/files/notes/answer.html`);
  urls.set('a block', `/api/v1/transparency/bundles/${cid}`);
  urls.set('a bundle of an execution', `${execution}/bundle`);
  urls.set('a bundle of a job', `/api/v1/jobs/${job}/bundle`);
  urls.set('a tile', '/tile/0/000.p/5');
  urls.set('a tile of entries', '/tile/entries/000.p/5');
  urls.set('the OpenAPI document', '/openapi.json');
  urls.set('the page’s script', '/docs/start.js');
});
afterAll(async () => {
  await log[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

describe.each([
  'a spec',
  'a receipt',
  'an output',
  'a file',
  'a block',
  'a bundle of an execution',
  'a bundle of a job',
  'a tile',
  'a tile of entries',
  'the OpenAPI document',
  'the page’s script',
])('%s', (what) => {
  test('has one name for its bytes, and is not sent to whoever names it', async () => {
    const url = urls.get(what)!;
    const [first, second] = [await api.get(url), await api.get(url)];
    const etag = String(first.headers.etag);
    expect(etag).toMatch(/^"[a-z0-9]{20,}"$/);
    expect([second.headers.etag, second.raw.equals(first.raw)]).toEqual([etag, true]);
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const answer = await api.get(url, { 'if-none-match': known });
      expect([known, answer.status, answer.raw.length]).toEqual([known, 304, 0]);
      expect(answer.headers).toMatchObject({ etag, 'cache-control': first.headers['cache-control'] });
      expect(answer.headers).not.toHaveProperty('content-length');
    }
    for (const other of ['"other"', etag.slice(1, -1), '', `${etag.slice(0, -1)}x"`]) {
      const answer = await api.get(url, { 'if-none-match': other });
      expect([other, answer.status, answer.raw.equals(first.raw)]).toEqual([other, 200, true]);
    }
  });
});

test('a bundle is another when the log has grown, and the old one is told apart', async () => {
  const url = urls.get('a bundle of a job')!;
  const { headers } = await api.get(url);
  const job = (await api.post(signedJob(testKey(), { questions: [] }))).json.id as string;
  await log.endJob(job);
  await log.sizeReaches(9);
  const answer = await api.get(url, { 'if-none-match': String(headers.etag) });
  expect(answer.status).toBe(200);
  expect(answer.headers.etag).not.toBe(headers.etag);
});

test('what changes has no such name', async () => {
  for (const url of ['/api/v1/jobs', '/api/v1/transparency/root', '/checkpoint', '/health', '/metrics'])
    expect([url, (await api.get(url)).headers.etag]).toEqual([url, undefined]);
});
