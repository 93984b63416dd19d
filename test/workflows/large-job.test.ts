import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requestCancel } from '../../store/cancel.ts';
import { relayOnce } from '../../worker/relay.ts';
import { startCore, type Core } from '../support/core.ts';
import { expectWhole } from '../support/whole-job.ts';
import { scriptedBackend, type ScriptedBackend } from '../support/scripted-backend.ts';

/** The most executions that a job may have (spec/core.md §4). */
const SIZE = 1_000;
/** Temporal warns of a history of 10,240 events and ends one of 51,200. What a part of 50 and its job take is far below. */
const EVENTS_MAX = 1_000;

let core: Core;
let backend: ScriptedBackend;
let answered = 0;
/** Answers that the backend gives before it only hangs. */
let answers = Infinity;

beforeAll(async () => {
  backend = scriptedBackend(() =>
    answered++ < answers ? { kind: 'answer', text: 'hello' } : { kind: 'hang' },
  );
  core = await startCore(backend);
});
afterAll(() => core[Symbol.asyncDispose]());

const start = (): Promise<string> =>
  core.start({ questions: Array.from({ length: SIZE }, (_, index) => `question ${index}?`) });

async function statesOf(jobId: string): Promise<Record<string, number>> {
  const { rows } = await core.db.pool.query<{ state: string; count: number }>(
    'select state, count(*)::int as count from executions where job_id = $1 group by state',
    [jobId],
  );
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
}

async function expectShortHistories(jobId: string, parts: readonly number[]): Promise<void> {
  for (const id of [`job-${jobId}`, ...parts.map((part) => `job-${jobId}/${part}`)]) {
    expect((await core.history(id)).length, id).toBeLessThanOrEqual(EVENTS_MAX);
  }
}

describe('a job of 1,000 executions', () => {
  it('ends completed, each execution attested once', async () => {
    const job = await start();
    expect(await core.ended(job, 240_000)).toBe('completed');
    expect(await statesOf(job)).toEqual({ completed: SIZE });
    await expectWhole(core, job);
    await expectShortHistories(job, [0, 19]);
  }, 300_000);

  it('that is cancelled in the middle ends cancelled, what was answered stays, and each is attested once', async () => {
    const answersFirst = 420;
    answered = 0;
    answers = answersFirst;
    const before = backend.begun.length;
    const job = await start();
    await backend.untilBegun(before + answersFirst + 1);
    await requestCancel(core.db.pool, { jobId: job, actor: 'test' });
    await relayOnce(core.relay);
    expect(await core.ended(job, 240_000)).toBe('cancelled');
    expect(await statesOf(job)).toEqual({ completed: answersFirst, cancelled: SIZE - answersFirst });
    await expectWhole(core, job);
    // Parts 8 and 9 were under way, part 10 never began.
    await expectShortHistories(job, [0, 8]);
  }, 300_000);
});
