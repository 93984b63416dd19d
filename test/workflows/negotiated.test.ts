import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend, Negotiated, Work } from '../../backends/backend.ts';
import { Refusal } from '../../backends/refusal.ts';
import { requestCancel } from '../../store/cancel.ts';
import { relayOnce } from '../../worker/relay.ts';
import { startCore, type Core } from '../support/core.ts';
import { eventually } from '../support/eventually.ts';
import { scriptedBackend, type Act, type ScriptedBackend } from '../support/scripted-backend.ts';
import { expectWhole } from '../support/whole-job.ts';

const plan = { backends: { '*': ['golem'] } };
const found: Negotiated = {
  candidates: [
    {
      provider: '0x1',
      name: 'one',
      claim: { class: 'P0', region: 'US', source: 'golem.runtime.beacon-region', value: 'US' },
      estimate: '0.1',
    },
  ],
  seen: 2,
  window: 'relaxed',
  dropped: { price: 1 },
};

let core: Core;
let golem: ScriptedBackend;
let looks = 0;
/** Looks that fail before one succeeds. */
let failing = 0;
const scripts = new Map<string, (work: Work) => Act>();

beforeAll(async () => {
  golem = scriptedBackend((work) => scripts.get(work.image)?.(work) ?? { kind: 'answer', text: 'hello' });
  const backend: Backend = {
    ...golem,
    async negotiate() {
      looks++;
      if (failing-- > 0) throw new Refusal('backend_unavailable', 'the daemon is away');
      return found;
    },
  };
  core = await startCore(
    scriptedBackend(() => ({ kind: 'answer', text: 'local' })),
    { golem: backend },
  );
});
afterAll(() => core[Symbol.asyncDispose]());

describe('an execution of a backend that negotiates', () => {
  it('hands what was found to its attempt, within the bound of its history', async () => {
    const job = await core.start({}, plan);
    expect(await core.ended(job)).toBe('completed');
    expect(golem.begun.at(-1)?.negotiated).toEqual(found);
    const { rows } = await core.db.pool.query(
      'select n.outcome from negotiations n join executions e on e.id = n.execution_id where e.job_id = $1',
      [job],
    );
    expect(rows).toEqual([{ outcome: 'relax_match' }]);
    await expectWhole(core, job);
    expect((await core.history(`job-${job}`, 'job/negotiated')).length).toBeLessThanOrEqual(25);
  });

  it('looks again while the market cannot be looked at, and that is no attempt', async () => {
    failing = 2;
    const before = looks;
    const job = await core.start({}, plan);
    expect(await core.ended(job)).toBe('completed');
    expect(looks - before).toBe(3);
    const { rows } = await core.db.pool.query(
      'select a.attempt from attempts a join executions e on e.id = a.execution_id where e.job_id = $1',
      [job],
    );
    expect(rows).toEqual([{ attempt: 1 }]);
    const { rows: kept } = await core.db.pool.query<{ record: object }>(
      'select n.record from negotiations n join executions e on e.id = n.execution_id where e.job_id = $1 order by n.number',
      [job],
    );
    // Why it waited is told once, however often it was tried.
    expect(kept.map(({ record }) => record)).toEqual([
      { failure: { code: 'backend_unavailable', message: 'the daemon is away' } },
      expect.objectContaining({ seen: 2 }),
    ]);
  });

  it('fails with its job where the market has nobody, and says so', async () => {
    scripts.set('builtin:nobody', () => ({ kind: 'fail', code: 'no_offers' }));
    const job = await core.start({ image: 'builtin:nobody' }, plan);
    expect(await core.ended(job)).toBe('failed');
    await expectWhole(core, job);
    await core.history(`job-${job}`, 'job/negotiated-nobody');
  });

  it('that is cancelled while it runs is released, whatever its worker did', async () => {
    scripts.set('builtin:hang', () => ({ kind: 'hang' }));
    const before = golem.begun.length;
    const job = await core.start({ image: 'builtin:hang' }, plan);
    await golem.untilBegun(before + 1);
    await requestCancel(core.db.pool, { jobId: job, actor: 'test' });
    await relayOnce(core.relay);
    expect(await core.ended(job)).toBe('cancelled');
    await eventually(async () => (golem.released.includes(golem.begun[before]!.name) ? true : undefined));
    await expectWhole(core, job);
    await core.history(`job-${job}`, 'job/negotiated-cancelled');
  });

  it('releases what a lost attempt left before it looks again', async () => {
    let lost = true;
    scripts.set('builtin:lost', () => (lost ? { kind: 'hang' } : { kind: 'answer', text: 'hello' }));
    const before = golem.begun.length;
    const job = await core.start({ image: 'builtin:lost' }, plan);
    await golem.untilBegun(before + 1);
    const second = await core.addWorker();
    lost = false;
    // A worker that shuts down hands the attempt back as lost.
    await core.stopWorker();
    try {
      expect(await core.ended(job)).toBe('completed');
      expect(golem.released).toContain(golem.begun[before]!.name);
      expect(golem.begun.at(-1)?.attempt).toBe(2);
      await core.history(`job-${job}`, 'job/negotiated-lost');
    } finally {
      await second[Symbol.asyncDispose]();
    }
  });
});
