import { createHash, randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { testDatabase, type TestDatabase } from '../test/support/postgres.ts';
import { createPool, withTransaction, type Pool } from './pool.ts';
import type { Plan } from '../domain/jobspec/plan.ts';
import { appendToStream } from './events.ts';
import { givePositions, readHead, readTail } from './feed.ts';
import { createSubmitter } from './submit.ts';
import type { Submit } from './submit-statement.ts';

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db[Symbol.asyncDispose]());

const sha256 = (text: string) => createHash('sha256').update(text).digest();
const notifier = { notify: () => undefined };

function job(over: Partial<Submit> & { message?: string; executions?: number } = {}): Submit {
  const { message = randomUUID(), executions = 2, ...rest } = over;
  const plan: Plan = {
    v: 1,
    regions: ['US', 'EU'],
    fallback_regions: [],
    models: ['llama'],
    questions: 1,
    executions: Array.from({ length: executions }, (_, i) => [i % 2, 0, 0]),
    backends: { US: ['local'], EU: ['local'] },
    min_regions: 1,
    min_success_rate: 0.67,
    timeout_ms: 1,
    provider_timeout_ms: 1,
    deadline_ms: 1,
    max_parallel: 1,
    attempts_per_region: 1,
  };
  return {
    id: `job-${randomUUID()}`,
    idGiven: true,
    owner: 'owner',
    form: 'P1',
    messageSha256: sha256(message),
    requestSha256: sha256(`request ${message}`),
    nonce: null,
    idempotencyKey: null,
    raw: Buffer.from(message),
    name: 'name',
    plan,
    questions: ['Why? "quoted", {braced}, \\ and ünïcode 🛰'],
    visibility: 'public',
    ...rest,
  };
}

/** A submitter that counts its batches. */
function counted(pool: Pool = db.pool, maxQueued?: number) {
  const batches: number[] = [];
  const spy = {
    query: (query: { name?: string; values?: unknown[] }) => {
      // The first value is the array of ids; its length stands in the header of PostgreSQL's binary form.
      if (query.name === 'submit-batch') batches.push((query.values![0] as Buffer).readInt32BE(12));
      return pool.query(query as never);
    },
  } as unknown as Pool;
  return {
    batches,
    ...createSubmitter({ pool: spy, notifier, ...(maxQueued === undefined ? {} : { maxQueued }) }),
  };
}

const exists = async (id: string) =>
  (await db.pool.query('select from jobs where id = $1', [id])).rowCount === 1;

test('events of accepted jobs get their places in the feed with the job, beside relays that give others theirs', async () => {
  await using own = await testDatabase();
  const submitters = [0, 1, 2].map(() => createSubmitter({ pool: own.pool, notifier }));
  let writing = true;
  const append = async (stream: string) => {
    while (writing) {
      await withTransaction(own.pool, (tx) =>
        appendToStream(tx, stream, [{ type: 'transparency.entry_appended', payload: { timestamp: 'now' } }]),
      );
    }
  };
  const give = async () => {
    while (writing) await givePositions(own.pool);
  };
  /** What a reader who follows the head gets, in the order in which he gets it. */
  const followed: number[] = [];
  const follow = async () => {
    for (let last = 0; writing; last = followed.at(-1) ?? 0) {
      followed.push(...(await readTail(own.pool, last, 1_000)).events.map(({ position }) => position));
    }
  };
  const others = [append('log:a'), append('log:b'), give(), give(), follow()];
  await Promise.all(
    submitters.map(async (submitter) => {
      for (let round = 0; round < 20; round++) {
        await Promise.all(Array.from({ length: 7 }, () => submitter.submit(job())));
      }
    }),
  );
  writing = false;
  await Promise.all(others);
  while ((await givePositions(own.pool)) > 0);
  const { events } = await readTail(own.pool, 0, 100_000);
  expect(events.map(({ position }) => position)).toEqual(events.map((_, index) => index + 1));
  expect(events.filter(({ type }) => type === 'job.accepted')).toHaveLength(420);
  expect((await readHead(own.pool)).position).toBe(events.length);
  expect(followed).toEqual(followed.map((_, index) => index + 1));
  expect(followed.length).toBeGreaterThan(100);
});

describe('submits that arrive together', () => {
  test('share statements, at most 128 to each, and all are stored', async () => {
    const submitter = counted();
    const jobs = Array.from({ length: 300 }, () => job());
    const answers = await Promise.all(jobs.map((one) => submitter.submit(one)));
    expect(answers).toEqual(jobs.map(({ id }) => ({ kind: 'accepted', id })));
    expect(submitter.batches).toEqual([1, 128, 128, 43]);
    const { rows } = await db.pool.query(
      'select region, model, question, question_text from executions where job_id = $1 order by idx',
      [jobs[7]!.id],
    );
    expect(rows).toEqual(
      ['US', 'EU'].map((region) => ({
        region,
        model: 'llama',
        question: 0,
        question_text: jobs[7]!.questions[0],
      })),
    );
  });

  test('are split where their executions would make one statement too long', async () => {
    const submitter = counted();
    await Promise.all(Array.from({ length: 10 }, () => submitter.submit(job({ executions: 1_000 }))));
    expect(submitter.batches).toEqual([1, 4, 4, 1]);
  });

  test('are not failed by one whose data the database refuses', async () => {
    const submitter = counted();
    const bad = job({ name: 'a\0b' });
    const good = Array.from({ length: 9 }, () => job());
    const answers = await Promise.allSettled(
      [job(), ...good.slice(0, 4), bad, ...good.slice(4)].map((one) => submitter.submit(one)),
    );
    expect(answers.map(({ status }) => status)).toEqual(
      answers.map((_, i) => (i === 5 ? 'rejected' : 'fulfilled')),
    );
    expect(answers[5]).toMatchObject({ reason: { code: 'row_refused' } });
    for (const { id } of good) expect(await exists(id)).toBe(true);
    expect(await exists(bad.id)).toBe(false);
  });

  test('and are twins are answered as what the first one made of them', async () => {
    const submitter = counted();
    const first = job({ nonce: 'n1', idempotencyKey: 'k1' });
    const twins: [Submit, unknown][] = [
      [first, { kind: 'accepted', id: first.id }],
      [{ ...first }, { kind: 'known', id: first.id }],
      [
        { ...first, id: 'generated', idGiven: false, idempotencyKey: null },
        { kind: 'known', id: first.id },
      ],
      [
        { ...first, id: 'another', idempotencyKey: null },
        { kind: 'replay', of: 'message', id: first.id },
      ],
      [job({ nonce: 'n1' }), { kind: 'replay', of: 'nonce', id: first.id }],
      [job({ id: first.id }), { kind: 'id_taken', id: first.id }],
      [job({ idempotencyKey: 'k1' }), { kind: 'idempotency_key_reused', id: first.id }],
    ];
    const [, ...answers] = await Promise.all(
      [job(), ...twins.map(([one]) => one)].map((one) => submitter.submit(one)),
    );
    expect(answers).toEqual(twins.map(([, answer]) => answer));
    expect(submitter.batches).toEqual([1, 1]);
  });

  test('a twin of one that was itself refused is judged on its own', async () => {
    const submitter = counted();
    const stored = job();
    await submitter.submit(stored);
    // The second claims a stored id, so it is left out, and with it the reason to leave out the third.
    const [, taken, free] = await Promise.all([
      submitter.submit(job()),
      submitter.submit(job({ id: stored.id, nonce: 'shared' })),
      submitter.submit(job({ id: 'free-after-all', nonce: 'shared' })),
    ]);
    expect(taken.kind).toBe('id_taken');
    expect(free).toEqual({ kind: 'accepted', id: 'free-after-all' });
  });

  test('at two processes in different orders never wait for each other, and each is stored once', async () => {
    const jobs = Array.from({ length: 200 }, (_, i) =>
      job({ nonce: `both-${(i * 7919) % 200}`, idempotencyKey: `both-${(i * 31) % 200}` }),
    );
    const [here, there] = [counted(), counted()];
    const answers = await Promise.all([
      ...jobs.map((one) => here.submit(one)),
      ...jobs.toReversed().map((one) => there.submit(one)),
    ]);
    const kinds = answers.map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'accepted')).toHaveLength(200);
    expect(kinds.filter((kind) => kind === 'known')).toHaveLength(200);
  });
});

test('whatever is stored and then asked again, the verdict is that of the rules', async () => {
  const submitter = counted();
  const small = fc.constantFrom('a', 'b', 'c');
  const optional = fc.option(small, { nil: null });
  const claim = fc.record({
    id: small,
    idGiven: fc.boolean(),
    owner: fc.constantFrom('x', 'y'),
    message: small,
    nonce: optional,
    idempotencyKey: optional,
  });
  await fc.assert(
    fc.asyncProperty(fc.array(claim, { maxLength: 12 }), async (claims) => {
      const run = randomUUID();
      const stored: { submit: Submit; message: string }[] = [];
      const submits = claims.map((one) => ({
        message: one.message,
        submit: job({
          ...one,
          id: `${run}-${one.id}`,
          owner: `${run}-${one.owner}`,
          message: `${run}-${one.message}`,
        }),
      }));
      for (const { submit, message } of submits) {
        expect(await submitter.submit(submit)).toEqual(
          byRules(
            submit,
            stored.map((one) => one.submit),
          ),
        );
        if (
          byRules(
            submit,
            stored.map((one) => one.submit),
          ).kind === 'accepted'
        )
          stored.push({ submit, message });
      }
    }),
    { numRuns: 30 },
  );
});

/** The rules of replay, said a second time, plainly. */
function byRules(submit: Submit, stored: readonly Submit[]) {
  const mine = stored.filter((one) => one.owner === submit.owner);
  const same = (one: Submit) => Buffer.compare(one.messageSha256, submit.messageSha256) === 0;
  const byKey = mine.find(
    (one) => submit.idempotencyKey !== null && one.idempotencyKey === submit.idempotencyKey,
  );
  // The body of these tests is a function of the message.
  if (byKey !== undefined) return { kind: same(byKey) ? 'known' : 'idempotency_key_reused', id: byKey.id };
  const byMessage = mine.find(same);
  if (byMessage !== undefined) {
    return !submit.idGiven || byMessage.id === submit.id
      ? { kind: 'known', id: byMessage.id }
      : { kind: 'replay', of: 'message', id: byMessage.id };
  }
  const byNonce = mine.find((one) => submit.nonce !== null && one.nonce === submit.nonce);
  if (byNonce !== undefined) return { kind: 'replay', of: 'nonce', id: byNonce.id };
  if (stored.some((one) => one.id === submit.id)) return { kind: 'id_taken', id: submit.id };
  return { kind: 'accepted', id: submit.id };
}

test('a full queue refuses more instead of growing', async () => {
  const submitter = counted(db.pool, 3);
  const answers = await Promise.allSettled(Array.from({ length: 10 }, () => submitter.submit(job())));
  const refused = answers.filter((answer) => answer.status === 'rejected');
  expect(refused.length).toBeGreaterThanOrEqual(6);
  for (const answer of refused) expect(answer.reason).toMatchObject({ code: 'queue_full' });
  expect((await submitter.submit(job())).kind).toBe('accepted');
});

test('without a database every submit is told, and later ones work', async () => {
  const away = createPool({ databaseUrl: 'postgres://nobody@127.0.0.1:1/none', name: 'test' });
  let pool = away;
  const submitter = createSubmitter({
    pool: { query: (query: never) => pool.query(query) } as unknown as Pool,
    notifier,
  });
  for (const answer of await Promise.allSettled([job(), job(), job()].map((one) => submitter.submit(one)))) {
    expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'store_unavailable' } });
  }
  pool = db.pool;
  expect((await submitter.submit(job())).kind).toBe('accepted');
  await away.end();
});

test('closing waits for what was submitted and takes no more', async () => {
  const submitter = counted();
  const pending = Array.from({ length: 5 }, () => submitter.submit(job()));
  await submitter[Symbol.asyncDispose]();
  expect((await Promise.all(pending)).every(({ kind }) => kind === 'accepted')).toBe(true);
  await expect(submitter.submit(job())).rejects.toMatchObject({ code: 'closed' });
});
