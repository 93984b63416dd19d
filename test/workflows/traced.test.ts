import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Backend, Work } from '../../backends/backend.ts';
import { Refusal } from '../../backends/refusal.ts';
import { createLogger } from '../../observability/log.ts';
import { startTracing } from '../../observability/otel/start.ts';
import { requestCancel } from '../../store/cancel.ts';
import { relayOnce } from '../../worker/relay.ts';
import { startCollector, type CollectedSpan, type Collector } from '../support/collector.ts';
import { startCore, type Core } from '../support/core.ts';
import { eventually } from '../support/eventually.ts';
import { scriptedBackend, type Act, type ScriptedBackend } from '../support/scripted-backend.ts';

let collector: Collector;
let core: Core;
let local: ScriptedBackend;
const scripts = new Map<string, (work: Work) => Act>();
/** Looks at the market that fail before one succeeds. */
let failing = 1;

const tracing = () =>
  startTracing({ role: 'test', version: '0', endpoint: collector.url, log: createLogger('test', 'error') });
let traces: AsyncDisposable;

/** The first attempt of this image waits until it is released, and then fails. */
const HELD = 'builtin:held';
let gate: { arrive(): void; opened: Promise<void> } | undefined;

function hold(): { arrived: Promise<void>; release(): void } {
  const now = { arrive: (): void => undefined, release: (): void => undefined };
  const arrived = new Promise<void>((resolve) => (now.arrive = resolve));
  const opened = new Promise<void>((resolve) => (now.release = resolve));
  gate = { arrive: () => now.arrive(), opened };
  return { arrived, release: () => now.release() };
}

beforeAll(async () => {
  collector = await startCollector();
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', collector.url);
  vi.stubEnv('OTEL_BSP_SCHEDULE_DELAY', '50');
  local = scriptedBackend((work) => scripts.get(work.image)?.(work) ?? { kind: 'answer', text: 'hello' });
  const golem: Backend = {
    ...scriptedBackend(() => ({ kind: 'answer', text: 'hello' })),
    async negotiate() {
      if (failing-- > 0) throw new Refusal('backend_unavailable', 'the daemon is away');
      return { candidates: [], seen: 2, dropped: {} };
    },
  };
  const holding: Backend = {
    ...local,
    async execute(work, step) {
      if (work.image === HELD && work.attempt === 1) {
        gate?.arrive();
        await gate?.opened;
      }
      return local.execute(work, step);
    },
  };
  const flaky = ({ attempt }: Work): Act =>
    attempt === 1 ? { kind: 'fail', code: 'provider_lost' } : { kind: 'answer', text: 'hello' };
  scripts.set(HELD, flaky);
  scripts.set('builtin:flaky', flaky);
  core = await startCore(holding, { golem });
  traces = tracing();
});
afterAll(async () => {
  await core[Symbol.asyncDispose]();
  await traces[Symbol.asyncDispose]();
  await collector[Symbol.asyncDispose]();
  vi.unstubAllEnvs();
});

const ofJob = (job: string, name: string): CollectedSpan[] =>
  collector.spans.filter(
    (span) =>
      span.name === name &&
      (span.attributes['beacon.job.id'] === job ||
        String(span.attributes['temporal.workflow.id']).startsWith(`job-${job}`)),
  );
const one = (job: string, name: string) => eventually(() => ofJob(job, name)[0]);

describe('the trace of a job', () => {
  it('holds its start, its workflow, each attempt and its receipt, one within the other', async () => {
    const job = await core.start({ image: 'builtin:flaky', input: { prompt: 'a secret of the job' } });
    expect(await core.ended(job)).toBe('completed');
    const workflow = await one(job, 'RunWorkflow:jobWorkflow');
    const start = await one(job, 'StartWorkflow:jobWorkflow');
    const [first, second] = await eventually(() => {
      const attempts = ofJob(job, 'RunActivity:execute').sort((a, b) => a.startMs - b.startMs);
      return attempts.length === 2 ? attempts : undefined;
    });
    const attest = await one(job, 'attest');
    expect(start).toMatchObject({ parent: '', kind: 4, failed: false });
    expect(workflow).toMatchObject({ traceId: start.traceId, parent: start.spanId, failed: false });
    expect(first).toMatchObject({
      parent: workflow.spanId,
      failed: true,
      attributes: { 'error.type': 'provider_lost', 'beacon.attempt': '1', 'beacon.outcome': 'failed' },
    });
    expect(second).toMatchObject({
      traceId: start.traceId,
      parent: workflow.spanId,
      failed: false,
      attributes: { 'beacon.attempt': '2', 'beacon.outcome': 'attested' },
    });
    expect(attest).toMatchObject({
      traceId: start.traceId,
      parent: second!.spanId,
      attributes: { 'beacon.receipts': '1', 'beacon.job.status': 'completed' },
    });
    expect(workflow.startMs).toBeLessThanOrEqual(first!.startMs + 1);
    expect(workflow.endMs).toBeGreaterThanOrEqual(second!.endMs - 1);
    expect(JSON.stringify(collector.spans)).not.toContain('a secret of the job');
    await core.history(`job-${job}`, 'job/traced');
  });

  it('has a span for each time that Temporal tries an activity', async () => {
    const job = await core.start({}, { backends: { '*': ['golem'] } });
    expect(await core.ended(job)).toBe('completed');
    await one(job, 'RunWorkflow:jobWorkflow');
    expect(ofJob(job, 'RunActivity:negotiate').sort((a, b) => a.startMs - b.startMs)).toMatchObject([
      { failed: true, attributes: { 'temporal.activity.attempt': '1', 'error.type': 'backend_unavailable' } },
      { failed: false, attributes: { 'temporal.activity.attempt': '2', 'beacon.offers.seen': '2' } },
    ]);
  });

  it('takes a cancellation for no error', async () => {
    scripts.set('builtin:endless', () => ({ kind: 'hang' }));
    const begun = local.begun.length;
    const job = await core.start({ image: 'builtin:endless' });
    await local.untilBegun(begun + 1);
    await requestCancel(core.db.pool, { jobId: job, actor: 'test' });
    await relayOnce(core.relay);
    expect(await core.ended(job)).toBe('cancelled');
    const workflow = await one(job, 'RunWorkflow:jobWorkflow');
    const execute = await one(job, 'RunActivity:execute');
    expect([workflow, execute, await one(job, 'CancelWorkflow:jobWorkflow')]).toMatchObject([
      { failed: false },
      { failed: false, parent: workflow.spanId },
      { failed: false },
    ]);
  });

  it('holds the parts of a large job', async () => {
    const questions = Array.from({ length: 51 }, (_, index) => `question ${index}?`);
    const job = await core.start({ questions });
    expect(await core.ended(job)).toBe('completed');
    const workflow = await one(job, 'RunWorkflow:jobWorkflow');
    const parts = ofJob(job, 'RunWorkflow:jobPartWorkflow');
    expect(parts).toMatchObject([
      { traceId: workflow.traceId, parent: workflow.spanId },
      { traceId: workflow.traceId, parent: workflow.spanId },
    ]);
    const within = new Set(parts.map(({ spanId }) => spanId));
    const executes = ofJob(job, 'RunActivity:execute');
    expect(executes).toHaveLength(51);
    expect(executes.every(({ parent }) => within.has(parent))).toBe(true);
  });

  it('ends where nobody writes it any more, and keeps no job', async () => {
    const held = hold();
    const job = await core.start({ image: HELD });
    await held.arrived;
    await traces[Symbol.asyncDispose]();
    held.release();
    expect(await core.ended(job)).toBe('completed');
    traces = tracing();
    expect(await one(job, 'StartWorkflow:jobWorkflow')).toMatchObject({ parent: '' });
    expect(ofJob(job, 'RunWorkflow:jobWorkflow')).toEqual([]);
    expect(ofJob(job, 'RunActivity:execute')).toEqual([]);
  });

  it('begins where somebody writes it in the midst of a workflow that began without', async () => {
    await traces[Symbol.asyncDispose]();
    const held = hold();
    const job = await core.start({ image: HELD });
    await held.arrived;
    traces = tracing();
    held.release();
    expect(await core.ended(job)).toBe('completed');
    expect(await one(job, 'RunActivity:execute')).toMatchObject({
      parent: '',
      attributes: { 'beacon.attempt': '2' },
    });
    expect(ofJob(job, 'RunWorkflow:jobWorkflow')).toEqual([]);
  });
});
