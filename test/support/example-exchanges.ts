import { createHash, randomUUID } from 'node:crypto';
import type { InjectOptions } from 'fastify';
import type { Exchange } from '../../api/openapi/examples.ts';
import { HEADERS } from '../../api/openapi/headers.ts';
import { cidOfDigest } from '../../domain/receipt/cid.ts';
import { signRead } from '../../domain/signing/signed-read.ts';
import { reportBreaker } from '../../store/breakers.ts';
import { keepNegotiation } from '../../store/negotiations.ts';
import { expectProbe } from '../../store/region-probes.ts';
import { createPool } from '../../store/pool.ts';
import { jobSpec, OPERATOR_TOKEN, signedJob, testApi, testKey, type TestApi, type TestKey } from './api.ts';
import { attestedLog } from './attested.ts';

const ANSWER = 'I am a program of a few lines. I answer what I am asked.';
const SHOWN_METRICS = ['jobs_deadletter_total', 'outbox_published_total', 'websocket_connections'];
const KEPT_HEADERS = ['content-type', ...Object.keys(HEADERS).map((name) => name.toLowerCase())];

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

type Play = (
  operationId: string,
  name: string,
  summary: string,
  request: { url: string; method?: 'GET' | 'POST'; headers?: Record<string, string>; body?: unknown },
) => Promise<Exchange['answer']>;

/** Every exchange that the OpenAPI document shows, by operation: played against a real API with a real log behind it. */
export async function playExchanges(): Promise<Map<string, Exchange[]>> {
  await using api = await testApi();
  const exchanges = new Map<string, Exchange[]>();
  const play = recorder(api, exchanges);
  const job = await playJobs(api, play);
  await playLog(api, play, job);
  await playGolem(api, play, job);
  await playService(api, play);
  await playFaults(exchanges);
  return exchanges;
}

function recorder(api: TestApi, exchanges: Map<string, Exchange[]>): Play {
  return async (operationId, name, summary, { url, method = 'GET', headers = {}, body }) => {
    const sent = { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers };
    const options: InjectOptions = { method, url, headers: sent };
    if (body !== undefined) options.payload = typeof body === 'string' ? body : JSON.stringify(body);
    const response = await api.app.inject(options);
    const kept = KEPT_HEADERS.flatMap((header) => {
      const value = response.headers[header];
      return value === undefined ? [] : [[header, String(value)] as const];
    });
    const shown = bodyOf(operationId, String(response.headers['content-type']), response.body);
    const answer: Exchange['answer'] = {
      status: response.statusCode,
      headers: Object.fromEntries(kept),
      ...(shown === undefined ? {} : { body: shown }),
    };
    const request: Exchange['request'] = {
      method,
      url,
      ...(Object.keys(sent).length === 0 ? {} : { headers: sent }),
      ...(body === undefined ? {} : { body }),
    };
    const all = exchanges.get(operationId) ?? [];
    exchanges.set(operationId, [...all, { name, summary, request, answer }]);
    return answer;
  };
}

/** JSON as its value, text as it is; of metrics a few lines, of bytes that are no text nothing. */
function bodyOf(operationId: string, type: string, body: string): unknown {
  if (body === '') return undefined;
  if (operationId === 'getOpenApi') return undefined;
  if (/[/+]json\b/.test(type)) return JSON.parse(body);
  if (operationId.startsWith('getMetrics'))
    return body
      .split('\n')
      .filter((line) => SHOWN_METRICS.some((name) => line.includes(name)))
      .join('\n');
  return ['getTile', 'getTileOfLog', 'getIpfs', 'getIpfsPath'].includes(operationId) ? undefined : body;
}

interface PlayedJob {
  id: string;
  execution: string;
  key: TestKey;
}

async function playJobs(api: TestApi, play: Play): Promise<PlayedJob> {
  const [key, stranger] = [testKey(), testKey()];
  const id = 'who-are-you-1';
  const over = { id, constraints: { regions: ['US', 'EU'], min_regions: 1 }, questions: ['Who are you?'] };
  const spec = signedJob(key, over);
  const { nonce } = spec.metadata as { nonce: string };
  const headers = { 'idempotency-key': 'attempt-1' };
  const submit = (name: string, summary: string, body: unknown, more?: Record<string, string>) =>
    play('submitJob', name, summary, {
      url: '/api/v1/jobs',
      method: 'POST',
      body,
      ...(more && { headers: more }),
    });

  await submit('accepted', 'A job for two regions.', spec, headers);
  await submit('known', 'The same bytes again, after a lost connection.', spec, headers);
  await submit(
    'validation_error',
    'A region that is none.',
    signedJob(key, { constraints: { regions: ['Mars'] } }),
  );
  await submit('invalid_json', 'Half of a body.', '{"id": "who-');
  await submit('missing_field:signature', 'Not signed.', jobSpec({ id: 'unsigned' }));
  await submit('signature_mismatch', 'Changed after it was signed.', { ...spec, questions: ['Who am I?'] });
  await submit('replay_detected', 'A nonce for the second time.', signedJob(key, { metadata: { nonce } }));
  await submit('id_taken', 'An id that another key has.', signedJob(stranger, { id }));
  await submit(
    'idempotency_key_reused',
    'The same Idempotency-Key for another job.',
    signedJob(key),
    headers,
  );

  const other = 'who-are-you-2';
  await api.post(signedJob(key, { ...over, id: other }));
  const cancel = (name: string, summary: string, body?: unknown) =>
    play('cancelJob', name, summary, { url: `/api/v1/jobs/${other}/cancel`, method: 'POST', body });
  await cancel('requested', "By the job's key.", key.request({ action: 'cancel', job_id: other }));
  await cancel('unauthorized', 'Neither a signed request nor a token.');
  await cancel('forbidden', 'By another key.', stranger.request({ action: 'cancel', job_id: other }));

  const { json } = await api.get(`/api/v1/jobs/${id}/executions`);
  return { id, execution: (json as { executions: { id: string }[] }).executions[0]!.id, key };
}

async function playLog(api: TestApi, play: Play, { id, execution, key }: PlayedJob): Promise<void> {
  await using log = await attestedLog(api.db);
  const [job, one] = [`/api/v1/jobs/${id}`, `/api/v1/executions/${execution}`];
  const proof = '/api/v1/transparency/proof';
  await play('getJobBundle', 'bundle_not_ready', 'While the job runs.', { url: `${job}/bundle` });
  await play('getReceipt', 'receipt_not_found', 'Before the execution ends.', { url: `${one}/receipt` });
  await log.endJob(id, ANSWER);
  await play('getProof', 'not_yet_logged', 'A moment after the end.', {
    url: `${proof}?execution_id=${execution}`,
  });
  log.startSequencing();
  // The key, two receipts, the summary.
  await log.sizeReaches(4);

  const ended = key.request({ action: 'cancel', job_id: id });
  await play('cancelJob', 'ended', 'The job had ended.', {
    url: `${job}/cancel`,
    method: 'POST',
    body: ended,
  });
  await play('listJobs', 'page', 'The newest job.', { url: '/api/v1/jobs?limit=1' });
  await play('listJobs', 'validation_error', 'A status that is none.', { url: '/api/v1/jobs?status=lost' });
  await play('getJob', 'ended', 'A job that completed.', { url: job });
  await play('getJob', 'latest', 'With the execution that ended last.', { url: `${job}?include=latest` });
  await play('getJob', 'job_not_found', 'An id that nobody took.', { url: '/api/v1/jobs/nobody' });
  await play('getJobSpec', 'spec', 'What was submitted.', { url: `${job}/spec` });
  await play('listJobEvents', 'events', 'From acceptance to the end.', { url: `${job}/events?after_seq=0` });
  await play('listJobExecutions', 'executions', 'One per region.', { url: `${job}/executions?limit=1` });
  await play('listAllJobExecutions', 'executions', 'With their tries.', {
    url: `${job}/executions/all?limit=1`,
  });

  await play('listExecutions', 'page', 'The newest execution.', { url: '/api/v1/executions?limit=1' });
  await play('getExecution', 'execution', 'One that completed.', { url: one });
  await play('getExecution', 'invalid_execution_id', 'Neither UUID nor number.', {
    url: '/api/v1/executions/x',
  });
  await play('getExecutionDetails', 'execution', 'One that completed.', { url: `${one}/details` });
  const receipt = await play('getReceipt', 'receipt', 'Of an execution that completed.', {
    url: `${one}/receipt`,
  });
  const headers = { 'if-none-match': receipt.headers.etag! };
  await play('getReceipt', 'unchanged', 'Asked for again.', { url: `${one}/receipt`, headers });
  await play('listExecutionLogs', 'lines', 'All lines.', { url: `${one}/logs` });
  await play('getOutput', 'output', 'What the program said.', { url: `${one}/output` });
  const range = { range: 'bytes=0-6' };
  await play('getOutput', 'range', 'How it begins.', { url: `${one}/output`, headers: range });
  await play('getFile', 'range', 'How it begins.', {
    url: `${one}/files/notes/answer.html`,
    headers: range,
  });
  await play('getFile', 'file', 'A file that it left.', { url: `${one}/files/notes/answer.html` });

  const cid = receipt.headers['x-ipfs-cid']!;
  await play('getLogRoot', 'root', 'After the first job.', { url: '/api/v1/transparency/root' });
  await play('getLogKeys', 'keys', 'Of a log whose keys never changed.', {
    url: '/api/v1/transparency/keys',
  });
  const proven = await play('getProof', 'execution', "Of an execution's receipt.", {
    url: `${proof}?execution_id=${execution}`,
  });
  await play('getProof', 'unchanged', 'Asked for again while the log has not grown.', {
    url: `${proof}?execution_id=${execution}`,
    headers: { 'if-none-match': proven.headers.etag! },
  });
  await play('getProof', 'proof_not_found', 'An entry that the log does not have.', {
    url: `${proof}?index=99`,
  });
  await play('getProof', 'text', 'The same for C2SP tools.', {
    url: `${proof}?execution_id=${execution}`,
    headers: { accept: 'text/plain' },
  });
  await play('getConsistency', 'consistency', 'That entry 0 is still the first.', {
    url: '/api/v1/transparency/consistency?from=1&to=4',
  });
  await play('getConsistency', 'size_beyond_log', 'More than there is.', {
    url: '/api/v1/transparency/consistency?from=1&to=99',
  });
  await play('listCheckpoints', 'page', 'The newest one.', {
    url: '/api/v1/transparency/checkpoints?limit=1',
  });
  await play('listEntries', 'job', 'All that the log says about a job.', {
    url: `/api/v1/transparency/entries?job_id=${id}`,
  });
  await play('listEntries', 'validation_error', 'About nothing.', { url: '/api/v1/transparency/entries' });
  await play('getLogDescription', 'description', 'Of a log with one key of each kind.', {
    url: '/.well-known/beacon-log.json',
  });
  await play('getBlock', 'receipt', "A receipt's bytes.", { url: `/api/v1/transparency/bundles/${cid}` });
  const answer = `/api/v1/transparency/bundles/${cidOfDigest(sha256(ANSWER))}`;
  await play('getBlock', 'range', 'A few bytes of a file.', { url: answer, headers: range });
  await play('getBlock', 'bundle_not_found', 'A CID that nothing here has.', {
    url: `/api/v1/transparency/bundles/${cidOfDigest(sha256('nothing'))}`,
  });
  const directory = await play('getJobDirectory', 'directory', 'Of all that the job left.', {
    url: `${job}/directory`,
  });
  const root = (directory.body as { directory_cid: string }).directory_cid;
  await play('getIpfs', 'raw', 'One block.', { url: `/ipfs/${root}?format=raw` });
  await play('getIpfs', 'car', 'All blocks of a tree.', { url: `/ipfs/${root}?format=car` });
  await play('getIpfs', 'ipfs_format_unsupported', 'A browser asks for a page.', {
    url: `/ipfs/${root}`,
    headers: { accept: 'text/html,*/*;q=0.8' },
  });
  await play('getIpfs', 'ipfs_not_cached', 'Only if it is here.', {
    url: `/ipfs/${cidOfDigest(sha256('nothing'))}?format=raw`,
    headers: { 'cache-control': 'only-if-cached' },
  });
  await play('getIpfsPath', 'car', 'One file, and what proves that it is in that directory.', {
    url: `/ipfs/${root}/summary.json?format=car`,
  });
  await play('getIpfsPath', 'ipfs_not_found', 'A path that is not in it.', {
    url: `/ipfs/${root}/answers.json?format=car`,
  });
  await play('getExecutionBundle', 'bundle', 'For `beacon verify`.', { url: `${one}/bundle` });
  await play('getJobBundle', 'bundle', 'For `beacon verify`.', { url: `${job}/bundle` });
  await play('getCheckpoint', 'checkpoint', 'After the first job.', { url: '/checkpoint' });
  await play('getTile', 'tile', 'The hashes of the first four entries.', { url: '/tile/0/000.p/4' });
  const { log_id: logId } = (await api.get('/api/v1/transparency/root')).json;
  const there = `/logs/${logId as string}`;
  await play('getCheckpointOfLog', 'checkpoint', 'Of a log by its id.', { url: `${there}/checkpoint` });
  await play('getTileOfLog', 'tile', 'Of a log by its id.', { url: `${there}/tile/0/000.p/4` });
}

async function playGolem({ db }: TestApi, play: Play, { id, execution }: PlayedJob): Promise<void> {
  const candidate = {
    provider: '0x5fe2c0ffee5fe2c0ffee5fe2c0ffee5fe2c0ffee',
    name: 'paris-1',
    rank: 'P0',
    claimed: 'EU',
    estimate: '0.05',
  };
  const dropped = { price: 2, cooling_down: 1 };
  await keepNegotiation(db.pool, {
    jobId: id,
    executionId: execution,
    attempt: null,
    backend: 'golem',
    region: 'EU',
    outcome: 'strict_match',
    durationMs: 1_240,
    record: { seen: 4, dropped, candidates: [candidate] },
    counts: { seen: 4, candidates: 1, dropped },
  });
  const stats = { requests: 12, successes: 12, failures: 0, rejected: 0, lastFailure: null };
  await reportBreaker(db.pool, { name: 'yagna', process: 'p1', state: 'closed', forced: false, ...stats });
  const headers = { authorization: `Bearer ${OPERATOR_TOKEN}` };
  const admin = '/api/v1/admin/circuit-breakers';
  const order = (operationId: string, name: string, summary: string, action: string, which: string) =>
    play(operationId, name, summary, {
      method: 'POST',
      url: `${admin}/${action}`,
      headers,
      body: { name: which },
    });
  await play('getGolemStatus', 'status', 'One worker, one look at the market.', {
    url: '/api/v1/golem/status',
    headers,
  });
  await play('listGolemProviders', 'providers', 'Who was a candidate for EU.', {
    url: '/api/v1/golem/providers?region=EU',
    headers,
  });
  await play('listNegotiations', 'negotiations', 'Four offers, one of them right.', {
    url: `/api/v1/executions/${execution}/negotiations`,
  });
  await play('listCircuitBreakers', 'list', 'All is well.', { url: admin, headers });
  await order('openCircuitBreakers', 'ordered', 'While yagna is repaired.', 'open', 'yagna');
  await order('openCircuitBreakers', 'breaker_not_found', 'A name that nobody has.', 'open', 'yagan');
  await order('resetCircuitBreakers', 'ordered', 'When it is well again.', 'reset', 'yagna');
}

async function expectProbeOf({ db }: TestApi): Promise<string> {
  const nonce = 'n0Nce-0f-0ne-pr0be-0f-a-pr0vider';
  await expectProbe(db.pool, {
    sha256: sha256(nonce),
    executionId: randomUUID(),
    attempt: 1,
    validMs: 120_000,
  });
  return nonce;
}

async function playService(api: TestApi, play: Play): Promise<void> {
  for (const [version, prefix] of [
    ['', ''],
    ['V1', '/api/v1'],
  ]) {
    await play(`getHealth${version}`, 'healthy', 'All is well.', { url: `${prefix}/health` });
    await play(`getLiveness${version}`, 'alive', 'It answers.', { url: `${prefix}/health/live` });
    await play(`getReadiness${version}`, 'ready', 'All is well.', { url: `${prefix}/health/ready` });
    await play(`getMetrics${version}`, 'metrics', 'A few of the lines.', { url: `${prefix}/metrics` });
  }
  const nonce = await expectProbeOf(api);
  const echo = { url: `/api/v1/echo/${nonce}` };
  await play('echoProbe', 'seen', 'From inside the rented machine.', echo);
  await play('echoProbe', 'probe_not_expected', 'The same nonce again.', echo);
  await play('openFeed', 'upgrade_required', 'Without an upgrade.', { url: '/ws' });
  const key = testKey();
  const ticket = { method: 'POST', path: '/api/v1/feed/tickets' };
  const read = { ...ticket, timestamp: new Date().toISOString(), nonce: randomUUID() };
  await play('createFeedTicket', 'ticket', 'Signed by a key that may have private jobs.', {
    method: 'POST',
    url: ticket.path,
    headers: { 'beacon-signature': signRead(read, key) },
  });
  await play('getOpenApi', 'document', 'This.', { url: '/openapi.json' });
}

/** What health says when there is no database. */
async function playFaults(exchanges: Map<string, Exchange[]>): Promise<void> {
  const pool = createPool({ databaseUrl: 'postgres://nobody@127.0.0.1:9/none', name: 'test' });
  await using api = await testApi({ pool });
  const play = recorder(api, exchanges);
  for (const [version, prefix] of [
    ['', ''],
    ['V1', '/api/v1'],
  ]) {
    await play(`getHealth${version}`, 'unhealthy', 'Without its database.', { url: `${prefix}/health` });
    await play(`getReadiness${version}`, 'unready', 'Without its database.', {
      url: `${prefix}/health/ready`,
    });
  }
  await play('listJobs', 'persistence_unavailable', 'Without its database.', { url: '/api/v1/jobs' });
}
