import { afterAll, beforeAll, expect, it } from 'vitest';
import { jobSpec, signedSpec, submitOf } from '../test/support/jobs.ts';
import { testDatabase, type TestDatabase } from '../test/support/postgres.ts';
import { pinImage } from './job-images.ts';
import { createSubmitter } from './submit.ts';
import { beginAttempt } from './begin-attempt.ts';

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db[Symbol.asyncDispose]());

async function submit(): Promise<string> {
  await using submitter = createSubmitter({ pool: db.pool, notifier: { notify: () => undefined } });
  const job = submitOf(signedSpec(jobSpec()));
  await submitter.submit(job);
  return job.id;
}
const digest = (n: number): string => `sha256:${n.toString(16).padStart(64, '0')}`;

it('one of many that resolve a tag at once decides for all, and later ones are told when they begin', async () => {
  const job = await submit();
  const told = await Promise.all(
    Array.from({ length: 12 }, (_, n) => pinImage(db.pool, job, 'example.org/a:latest', digest(n))),
  );
  expect(new Set(told).size).toBe(1);
  expect(await pinImage(db.pool, job, 'example.org/a:latest', digest(99))).toBe(told[0]);
  const begun = await beginAttempt(db.pool, {
    jobId: job,
    index: 0,
    attempt: 1,
    backend: 'local',
    region: 'US',
    timeoutMs: 1,
    providerTimeoutMs: 1,
  });
  expect(begun).toMatchObject({ work: { images: { 'example.org/a:latest': told[0] } } });
});

it('images and jobs are pinned each for themselves, and a pin never changes', async () => {
  const [one, other] = [await submit(), await submit()];
  expect(await pinImage(db.pool, one, 'a', digest(1))).toBe(digest(1));
  expect(await pinImage(db.pool, one, 'b', digest(2))).toBe(digest(2));
  expect(await pinImage(db.pool, other, 'a', digest(3))).toBe(digest(3));
  await expect(db.pool.query('update job_images set digest = $1', [digest(4)])).rejects.toThrow('permission');
  await expect(db.pool.query('delete from job_images')).rejects.toThrow('permission');
  await expect(pinImage(db.pool, one, 'c', 'latest')).rejects.toThrow('check');
});
