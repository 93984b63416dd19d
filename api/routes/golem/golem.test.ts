import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { main } from '../../../cli/command-line.ts';
import type { Region } from '../../../domain/jobspec/region.ts';
import { decimalOf } from '../../../domain/money/decimal.ts';
import { recordFailedLook, recordLook, recordTalks } from '../../../activities/negotiation.ts';
import type { Candidate } from '../../../backends/backend.ts';
import { createBreaker } from '../../../backends/golem/breaker.ts';
import { createBusinessEvents } from '../../../observability/events.ts';
import { createLogger } from '../../../observability/log.ts';
import { beginNegotiation } from '../../../store/begin-negotiation.ts';
import { writeWallet } from '../../../store/golem-reads.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { OPERATOR_TOKEN, signedJob, testApi, testKey, type TestApi } from '../../../test/support/api.ts';
import { recordedIo } from '../../../test/support/recorded-io.ts';
import { startBreakerReports } from '../../../worker/breaker-reports.ts';
import { yagnaProbe } from '../service/breakers.ts';

let api: TestApi;
let url: string;
beforeAll(async () => {
  api = await testApi();
  url = await api.app.listen({ host: '127.0.0.1', port: 0 });
});
afterAll(() => api[Symbol.asyncDispose]());

const log = createLogger('test', 'silent');
const operator = { authorization: `Bearer ${OPERATOR_TOKEN}` };
const events = () => createBusinessEvents(log, api.metrics);
const recording = () => ({ pool: api.db.pool, events: events(), committed: () => undefined });

async function beacon(...argv: string[]) {
  const io = recordedIo({ cwd: '/', env: { BEACON_API: url, BEACON_OPERATOR_TOKEN: OPERATOR_TOKEN } });
  const code = await main(argv, io);
  return { code, out: io.out(), err: io.err() };
}

async function execution(): Promise<{ jobId: string; executionId: string; backend: string; region: string }> {
  const { json } = await api.post(signedJob(testKey()));
  const { id: jobId } = json as { id: string };
  const { rows } = await api.db.pool.query<{ id: string }>('select id from executions where job_id = $1', [
    jobId,
  ]);
  return { jobId, executionId: rows[0]!.id, backend: 'golem', region: 'US' };
}

const candidateOf = (provider: string, region: Region): Candidate => ({
  provider,
  name: 'alpha',
  claim: { class: 'P1', region, source: 'golem.runtime.region', value: region },
  estimate: '0.25',
});

describe('why an execution found nobody', () => {
  it('is told with counts, rules and the last words of who refused', async () => {
    const where = await execution();
    const candidate = candidateOf('0xabc', 'US');
    await recordLook(
      recording(),
      where,
      { candidates: [], seen: 3, dropped: { price: 2, blacklist: 1 } },
      10,
    );
    await recordLook(recording(), where, { candidates: [candidate], seen: 1, dropped: {} }, 10);
    const refusals = [{ provider: '0xabc', why: 'no capacity' }];
    const talks = { provider: null, rank: null, durationMs: 900, refusals, probe: null };
    await recordTalks(recording(), { ...where, attempt: 1 }, talks);

    const { json } = await api.get(`/api/v1/executions/${where.executionId}/negotiations`);
    expect(json).toMatchObject({
      negotiations: [
        { attempt: 1, outcome: 'no_match', record: { provider: null, refused: 1, refusals } },
        { attempt: null, outcome: 'strict_match', record: { seen: 1 } },
        { attempt: null, outcome: 'no_match', record: { seen: 3, dropped: { price: 2, blacklist: 1 } } },
      ],
    });
    const { code, out } = await beacon('golem', 'explain', where.executionId);
    expect(code).toBe(0);
    expect(out).toContain('3 offers seen, 0 candidates, dropped: 2 by price, 1 by blacklist');
    expect(out).toContain('0xabc: no capacity');

    const told = await api.get(`/api/v1/jobs/${where.jobId}/events`);
    const types = (told.json as { events: { type: string }[] }).events.map(({ type }) => type);
    expect(types.filter((type) => type.startsWith('negotiation.'))).toEqual([
      'negotiation.looked',
      'negotiation.looked',
      'negotiation.ended',
    ]);
    const text = await api.metrics.shared.metrics();
    expect(text).toContain('negotiation_offers_seen_total{region="US"} 4');
    expect(text).toMatch(/negotiation_duration_seconds_count\{[^}]*region="US"[^}]*outcome="no_match"\} 2/);
  });

  it('is told while it still waits, and is not taken for an empty market', async () => {
    const where = { ...(await execution()), region: 'SA' };
    const none = await beacon('golem', 'explain', where.executionId);
    expect(none.err).toContain('has not ended its first look');
    const message = 'the Golem registry does not answer for beacon/worker:latest';
    await recordFailedLook(recording(), where, { code: 'backend_unavailable', message }, 10);
    const { code, out } = await beacon('golem', 'explain', where.executionId);
    expect([code, out]).toEqual([0, expect.stringMatching(/look at the market in SA: could not be done$/m)]);
    expect(out).toContain(`  backend_unavailable: ${message}; it is tried again`);
    const market = (
      (await api.get('/api/v1/golem/status', operator)).json as { market: { region: string }[] }
    ).market;
    expect(market.map(({ region }) => region)).not.toContain('SA');
  });

  it('stands with the execution while it has no place', async () => {
    const where = await execution();
    const path = `/api/v1/executions/${where.executionId}`;
    const waits = async (): Promise<unknown> =>
      ((await api.get(path)).json as { waits_for: unknown }).waits_for;
    const look = (found: Partial<Parameters<typeof recordLook>[2]>) =>
      recordLook(recording(), where, { candidates: [], seen: 0, dropped: {}, ...found }, 10);
    await look({});
    expect(await waits()).toBeNull();
    await beginNegotiation(api.db.pool, { jobId: where.jobId, index: 0 });
    expect(await waits()).toMatchObject({ code: 'no_offers', seen_at: expect.any(String) });
    await look({ seen: 3, dropped: { price: 2, blacklist: 1 } });
    expect(await waits()).toMatchObject({
      code: 'offers_dropped',
      message: '3 offers seen, none fits: 2 by price, 1 by blacklist',
    });
    await look({ seen: 1, candidates: [candidateOf('0xabc', 'US')] });
    expect(await waits()).toBeNull();
    const talks = { provider: null, rank: null, durationMs: 900, probe: null };
    const refusals = [{ provider: '0xabc', why: 'no capacity' }];
    await recordTalks(recording(), { ...where, attempt: 1 }, { ...talks, refusals });
    expect(await waits()).toMatchObject({ code: 'providers_refused' });
    const shown = await beacon('execution', 'get', where.executionId);
    expect(shown.out).toMatch(
      /^waits {6}1 providers refused, the last one: no capacity \(providers_refused, \d{4}-.*Z\)$/m,
    );
    await recordTalks(
      recording(),
      { ...where, attempt: 1 },
      { ...talks, provider: '0xabc', rank: 'P1', refusals: [] },
    );
    expect(await waits()).toBeNull();
    const failure = { code: 'backend_unavailable', message: 'yagna does not answer' } as const;
    await recordFailedLook(recording(), where, failure, 10);
    expect(await waits()).toMatchObject(failure);
  });

  it('of a private job is told to nobody else', async () => {
    const { json } = await api.post(signedJob(testKey(), { visibility: 'private' }));
    const { rows } = await api.db.pool.query<{ id: string }>('select id from executions where job_id = $1', [
      (json as { id: string }).id,
    ]);
    const path = `/api/v1/executions/${rows[0]!.id}/negotiations`;
    expect((await api.get(path)).status).toBe(404);
    expect((await api.get(path, operator)).status).toBe(200);
  });

  it('keeps a record within bounds, however much a provider has to say', async () => {
    const where = { ...(await execution()), attempt: 1 };
    const refusals = Array.from({ length: 500 }, (_, i) => ({ provider: `0x${i}`, why: 'x'.repeat(5_000) }));
    await recordTalks(recording(), where, {
      provider: '0x1',
      rank: 'P3',
      durationMs: 1,
      refusals,
      probe: 'passed',
    });
    const { json } = await api.get(`/api/v1/executions/${where.executionId}/negotiations`);
    const [only] = (json as { negotiations: { outcome: string; record: { refusals: object[] } }[] })
      .negotiations;
    expect(only).toMatchObject({ outcome: 'probe_verified', record: { refused: 500 } });
    expect(only!.record.refusals).toHaveLength(20);
  });
});

describe('the state of Golem', () => {
  it('is for operators alone', async () => {
    for (const path of ['/api/v1/golem/status', '/api/v1/golem/providers', '/api/v1/admin/circuit-breakers'])
      expect((await api.get(path)).status).toBe(401);
  });

  it('shows wallet, market by region and candidates', async () => {
    const platform = 'erc20-hoodi-tglm';
    await writeWallet(api.db.pool, {
      platform,
      balance: decimalOf('12.5'),
      readAt: new Date().toISOString(),
    });
    const where = { ...(await execution()), region: 'EU' };
    const candidate = candidateOf('0xe1', 'EU');
    await recordLook(recording(), where, { candidates: [candidate], seen: 2, dropped: { price: 1 } }, 5);
    const { json } = await api.get('/api/v1/golem/status', operator);
    expect(json).toMatchObject({
      wallet: { balance: decimalOf('12.5') },
      market: expect.arrayContaining([
        expect.objectContaining({ region: 'EU', seen: 2, candidates: 1, dropped: { price: 1 } }),
      ]),
    });
    const shown = await beacon('golem', 'status');
    expect(shown.code).toBe(0);
    expect(shown.out).toContain('12.5 GLM on erc20-hoodi-tglm');
    expect(shown.out).toContain('1 by price');
    const providers = await beacon('golem', 'providers', '--region', 'europe');
    expect(providers.out).toContain('0xe1');
    expect((await beacon('golem', 'providers', '--region', 'US', '--json')).out).not.toContain('0xe1');
    expect(await beacon('golem', 'providers', '--region', 'Mars')).toMatchObject({ code: 2 });
  });
});

describe('the circuit breaker of yagna', () => {
  it('is not there where no worker has one', async () => {
    const probe = yagnaProbe(api.db.pool);
    expect(await probe.check(AbortSignal.timeout(1_000))).toBe('absent');
    expect((await beacon('breakers', 'open', 'yagna')).code).toBe(4);
  });

  it('is seen by all, opened and reset by an operator', async () => {
    const probe = yagnaProbe(api.db.pool);
    const check = async () => {
      try {
        return await probe.check(AbortSignal.timeout(1_000));
      } catch (error) {
        return error as { message: string; facts: object };
      }
    };
    await using breaker = createBreaker({ name: 'yagna', counts: () => true, resetMs: 60_000 });
    await using _reports = startBreakerReports({
      pool: api.db.pool,
      breaker,
      events: events(),
      log,
      everyMs: 20,
    });
    await eventually(async () => ((await check()) === 'absent' ? undefined : true));
    expect(await check()).toMatchObject({ circuit_breaker_stats: { Name: 'yagna', State: 0, processes: 1 } });

    const down = () => breaker.run(() => Promise.reject(new Error(`refused ${randomUUID()}`)));
    for (let call = 0; call < 3; call++) await expect(down()).rejects.toThrow(/refused/);
    await expect(down()).rejects.toMatchObject({ code: 'breaker_open' });
    await eventually(async () => ('facts' in ((await check()) as object) ? true : undefined));
    expect(await check()).toMatchObject({
      message: 'the circuit breaker is open',
      facts: { circuit_breaker_stats: { State: 1, state: 'open', Failures: 3 } },
    });

    expect(await beacon('breakers', 'reset', 'yagna')).toMatchObject({ code: 0, out: 'reset: yagna\n' });
    await eventually(() => (breaker.stats().state === 'closed' ? true : undefined));
    await expect(breaker.run(() => Promise.resolve('well'))).resolves.toBe('well');

    expect(await beacon('breakers', 'open', 'yagna')).toMatchObject({ code: 0 });
    await eventually(() => (breaker.stats().forced ? true : undefined));
    await expect(breaker.run(() => Promise.resolve('well'))).rejects.toMatchObject({ code: 'breaker_open' });
    await eventually(async () => ('facts' in ((await check()) as object) ? true : undefined));
    expect((await beacon('breakers', 'list')).out).toContain('open (by an operator)');

    // A process that starts meanwhile is bound by the order too.
    await using later = createBreaker({ name: 'yagna', counts: () => true });
    await using _later = startBreakerReports({
      pool: api.db.pool,
      breaker: later,
      events: events(),
      log,
      everyMs: 20,
    });
    await eventually(() => (later.stats().forced ? true : undefined));
    await beacon('breakers', 'reset');
    await eventually(() => (!later.stats().forced && !breaker.stats().forced ? true : undefined));
    expect(await api.metrics.shared.metrics()).toMatch(
      /circuit_breaker_transitions_total\{name="yagna",to="open"\} [1-9]/,
    );
  });
});
