// One job over all processes is one trace, and processes without traces know nothing of them. Real roles of the build.
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatCosignerVkey } from '../domain/log/cosignature.ts';
import { loadCosigner } from '../attestation/keys/cosigner-key.ts';
import { build, isStale } from '../tools/build.js';
import { startCollector, type CollectedSpan, type Collector } from './support/collector.ts';
import { eventually } from './support/eventually.ts';
import { jobSpec, signedSpec, type SpecOptions } from './support/jobs.ts';
import { startPinningService, type FakePinningService } from './support/pinning-service.ts';
import { testDatabase, type TestDatabase } from './support/postgres.ts';
import { readModules, startRole, type OwnRole } from './support/role-process.ts';
import { temporaryFolder } from './support/temporary-folder.ts';
import { testTemporal } from './support/temporal.ts';
import { startYagna, type Yagna } from './yagna/yagna.ts';

const CALLER = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };
const TRACED = ['api', 'relay', 'worker', 'golem'] as const;

let db: TestDatabase;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let collector: Collector;
let pins: FakePinningService;
let yagna: Yagna;
let env: NodeJS.ProcessEnv;
let traced: NodeJS.ProcessEnv;
const roles: Partial<Record<(typeof TRACED)[number], OwnRole>> = {};
const modules = (role: string): string => path.join(folder.path, `${role}.modules.json`);

beforeAll(async () => {
  if (isStale()) await build();
  [db, folder, collector, pins] = await Promise.all([
    testDatabase(),
    temporaryFolder(),
    startCollector(),
    startPinningService(),
  ]);
  yagna = await startYagna({ providers: [{ region: 'EU' }] });
  const { address, namespace } = await testTemporal();
  const image = yagna.images[0]!;
  const policy = path.join(folder.path, 'policy');
  const witness = await loadCosigner(
    { pem: undefined, file: path.join(folder.path, 'witness', 'w.pem') },
    'w.test',
  );
  // Nobody listens there.
  await writeFile(policy, `witness w ${formatCosignerVkey(witness)} http://127.0.0.1:9\nquorum w\n`);
  env = {
    DATABASE_URL: db.url,
    TEMPORAL_ADDRESS: address,
    TEMPORAL_NAMESPACE: namespace,
    BEACON_STATE: path.join(folder.path, 'state'),
    BEACON_REACHABLE: folder.path,
    LOCAL_PROCESS_DIGESTS: 'shipped',
    PORT_STRATEGY: 'ephemeral',
    BACKENDS: 'EU=golem;*=local',
    YAGNA_URL: yagna.url,
    GOLEM_API_KEY: yagna.key,
    GOLEM_IMAGES: JSON.stringify({ 'builtin:echo': { url: image.url, sha3_224: image.sha3 } }),
    IPFS_PINNING_SERVICES: JSON.stringify([{ name: 'pins', endpoint: pins.endpoint, token: pins.token }]),
    IPFS_PUBLISH_INTERVAL: '1',
    LOG_POLICY_FILE: policy,
  };
  traced = {
    ...env,
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_TIMEOUT: '2000',
    OTEL_BSP_SCHEDULE_DELAY: '100',
  };
  const start = async (name: (typeof TRACED)[number], words: string[]): Promise<void> => {
    roles[name] = await startRole(words, traced, modules(name));
  };
  await start('worker', ['worker']);
  await Promise.all([
    start('api', ['serve']),
    start('relay', ['relay']),
    start('golem', ['worker', '--queues', 'backend-golem']),
  ]);
}, 180_000);

afterAll(async () => {
  for (const role of Object.values(roles)) role.kill();
  await yagna.stop();
  for (const part of [collector, pins, db, folder]) await part[Symbol.asyncDispose]();
});

async function submit(options: SpecOptions, headers: Record<string, string> = {}) {
  const spec = jobSpec(options);
  const answer = await fetch(`${roles.api!.url}/api/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: signedSpec(spec),
  });
  expect(answer.status, await answer.clone().text()).toBe(202);
  return { id: spec.id, traceresponse: answer.headers.get('traceresponse') };
}

const ended = (job: string): Promise<string> =>
  eventually(async () => {
    const { rows } = await db.pool.query<{ state: string }>('select state from jobs where id = $1', [job]);
    return ['accepted', 'running'].includes(rows[0]!.state) ? undefined : rows[0]!.state;
  }, 60_000);

/** The first span of this name in the trace. */
const spanOf = (traceId: string, name: string): Promise<CollectedSpan> =>
  eventually(() => collector.spans.find((span) => span.traceId === traceId && span.name === name));

describe('a job', { timeout: 90_000 }, () => {
  it('is one trace from the caller to the log and to whoever publishes it', async () => {
    const { id, traceresponse } = await submit(
      { input: { prompt: 'a secret of the job' } },
      { traceparent: `00-${CALLER.traceId}-${CALLER.spanId}-01` },
    );
    expect(await ended(id)).toBe('completed');
    const of = (name: string) => spanOf(CALLER.traceId, name);
    const api = await of('POST /api/v1/jobs');
    expect(api).toMatchObject({
      parent: CALLER.spanId,
      kind: 2,
      failed: false,
      attributes: {
        'http.route': '/api/v1/jobs',
        'http.response.status_code': '202',
        'beacon.job.id': id,
        'beacon.submit': 'accepted',
      },
      resource: { 'service.name': 'project-beacon-runner', 'beacon.role': 'api' },
    });
    expect(traceresponse).toBe(`00-${CALLER.traceId}-${api.spanId}-01`);
    const start = await of('StartWorkflow:jobWorkflow');
    const workflow = await of('RunWorkflow:jobWorkflow');
    const execute = await of('RunActivity:execute');
    const attest = await of('attest');
    const logged = await of('job in log');
    const published = await of('publish');
    expect(start).toMatchObject({ parent: api.spanId, resource: { 'beacon.role': 'relay' } });
    expect(workflow).toMatchObject({ parent: start.spanId, resource: { 'beacon.role': 'worker' } });
    expect(execute).toMatchObject({ parent: workflow.spanId, attributes: { 'beacon.backend': 'local' } });
    expect(attest).toMatchObject({
      parent: execute.spanId,
      attributes: { 'beacon.job.status': 'completed' },
    });
    expect(await of('local running')).toMatchObject({ parent: execute.spanId });
    expect(logged).toMatchObject({ parent: api.spanId, resource: { 'beacon.role': 'relay' } });
    expect(published).toMatchObject({ parent: api.spanId, attributes: { 'beacon.target': 'pins' } });
    expect(await of('POST')).toMatchObject({
      parent: published.spanId,
      kind: 3,
      attributes: { 'http.response.status_code': '202', 'url.full': `${pins.endpoint}/pins` },
    });
    const batch = await eventually(() =>
      collector.spans.find(({ spanId }) => spanId === logged.links[0]?.spanId),
    );
    expect(batch).toMatchObject({ name: 'append to log', parent: '' });
    expect(batch.links).toContainEqual({ traceId: CALLER.traceId, spanId: api.spanId });
    expect(await spanOf(batch.traceId, 'ask witness')).toMatchObject({
      parent: batch.spanId,
      attributes: { 'beacon.witness': 'w', 'beacon.witness.answer': 'failed' },
    });
    for (const secret of ['a secret of the job', pins.token, yagna.key])
      expect(JSON.stringify(collector.spans)).not.toContain(secret);
    // What is logged within a span names it.
    expect(roles.worker!.lines).toContainEqual(expect.objectContaining({ trace_id: CALLER.traceId }));
    // Nobody's trace begins with a look at the health.
    await fetch(`${roles.api!.url}/health/ready`);
    expect(collector.spans.some(({ name }) => name.includes('health'))).toBe(false);
  });

  it('on Golem shows each phase of its attempt and the calls to yagna', async () => {
    const { id, traceresponse } = await submit({
      regions: ['EU'],
      command: ['sh', '-c', 'cat "$BEACON_INPUT"'],
    });
    expect(await ended(id)).toBe('completed');
    const traceId = traceresponse!.split('-')[1]!;
    const workflow = await spanOf(traceId, 'RunWorkflow:jobWorkflow');
    const execute = await spanOf(traceId, 'RunActivity:execute');
    expect(await spanOf(traceId, 'RunActivity:negotiate')).toMatchObject({
      parent: workflow.spanId,
      attributes: { 'beacon.offers.seen': '1', 'beacon.offers.candidates': '1' },
    });
    expect(execute).toMatchObject({
      parent: workflow.spanId,
      attributes: { 'beacon.backend': 'golem', 'beacon.agreement.id': expect.any(String) },
    });
    expect(JSON.stringify(execute.attributes)).not.toContain('token');
    const phases = collector.spans
      .filter(({ parent, name }) => parent === execute.spanId && name.startsWith('golem '))
      .sort((a, b) => a.startMs - b.startMs);
    const names = phases.map(({ name }) => name.replace('golem ', ''));
    // The download of a small answer is sometimes over before it is told to have begun.
    expect(names.filter((name) => name !== 'downloading')).toEqual([
      'checking',
      'allocating',
      'allocated',
      'demand out',
      'agreement pending',
      'approved',
      'deploying',
      'deployed',
      'running',
      'collecting outputs',
      'ending',
      'awaiting invoice',
    ]);
    const calls = collector.spans.filter(({ parent, kind }) => parent === execute.spanId && kind === 3);
    expect(calls.map(({ attributes }) => attributes['url.full'])).toContain(
      `${yagna.url}/payment-api/v1/allocations`,
    );
    // Without a receipt key there the workflow attests.
    const step = await spanOf(traceId, 'RunActivity:attest');
    expect(step).toMatchObject({ parent: workflow.spanId });
    expect(await spanOf(traceId, 'attest')).toMatchObject({ parent: step.spanId });
  });

  it('is not harmed by a collector that is away, which is said once', async () => {
    const said = (name: (typeof TRACED)[number]) =>
      roles[name]!.lines.filter(({ msg }) => String(msg).startsWith('traces cannot be exported')).length;
    const before = TRACED.map(said);
    await collector.stop();
    for (let round = 0; round < 3; round++) {
      const { id } = await submit({});
      expect(await ended(id)).toBe('completed');
    }
    for (const [index, name] of TRACED.entries()) {
      if (name === 'golem') continue;
      await eventually(() => (said(name) > before[index]! ? true : undefined));
      expect(await roles[name]!.stop()).toBeLessThan(10_000);
      expect(said(name) - before[index]!).toBe(1);
    }
    await roles.golem!.stop();
  });
});

it('processes that write no traces load nothing of OpenTelemetry, and leave no trace', async () => {
  const off = { ...traced, OTEL_SDK_DISABLED: 'true' };
  roles.worker = await startRole(['worker'], env, modules('worker-off'));
  [roles.api, roles.relay] = await Promise.all([
    startRole(['serve'], off, modules('api-off')),
    startRole(['relay'], env, modules('relay-off')),
  ]);
  const { id, traceresponse } = await submit({}, { traceparent: `00-${CALLER.traceId}-${CALLER.spanId}-01` });
  expect(await ended(id)).toBe('completed');
  expect(traceresponse).toBeNull();
  const { rows } = await db.pool.query('select traceparent from jobs where id = $1', [id]);
  expect(rows).toEqual([{ traceparent: null }]);
  for (const name of ['api', 'relay', 'worker'] as const) {
    await roles[name]!.stop();
    // prom-client brings OpenTelemetry's interfaces (`api`), which do nothing by themselves.
    const ofTelemetry = async (file: string) =>
      (await readModules(modules(file))).filter((module) => /@opentelemetry\/(?!api\/)/.test(module));
    expect(await ofTelemetry(`${name}-off`), name).toEqual([]);
    expect((await ofTelemetry(name)).join(), name).toContain('sdk-trace');
  }
}, 60_000);
