/** One of the two databases that `bench:store` holds against each other: how it is asked, and what about. */
import { createLogReader } from '../../dist/attestation/log/reader.js';
import { createPool } from '../../dist/store/pool.js';
import { createLife } from './store-life.js';
import { cidOf, jobIdOf } from './store-rows.js';

/**
 * @param {string} name
 * @param {string} url
 * @param {Awaited<ReturnType<typeof import('./store-rows.js').fillStore>>} filled
 * @param {number} count how many jobs are asked about
 */
export async function openSide(name, url, filled, count) {
  const pool = createPool({ databaseUrl: url, name: 'bench' });
  const { logId, shape } = filled;
  const life = await createLife(pool, filled);
  const subjects = await pickSubjects(pool, shape.jobs, count);
  return {
    name,
    pool,
    logId,
    shape,
    life,
    reader: createLogReader(pool, logId),
    /** Jobs that have ended, anywhere among all. */
    ended: subjects.filter((subject) => subject.n <= shape.ended),
    /** Any jobs. */
    subjects,
    async [Symbol.asyncDispose]() {
      await life[Symbol.asyncDispose]();
      await pool.end();
    },
  };
}

async function pickSubjects(pool, jobs, count) {
  const picked = new Map();
  // A tenth more than asked for, since some have not ended.
  while (picked.size < Math.min(count * 1.2, jobs / 2)) {
    const n = 1 + Math.floor(Math.random() * jobs);
    picked.set(jobIdOf(n), n);
  }
  const { rows } = await pool.query(
    `select j.id as job, j.owner, to_char(j.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at,
            e.id as execution, e.number, e.receipt_cid as cid, j.summary_cid as "summaryCid", j.manifest_cid as "manifestCid",
            r.digest, e.output_sha256 as output
     from jobs j join executions e on e.job_id = j.id
     left join receipts r on r.execution_id = e.id
     where j.id = any($1)`,
    [[...picked.keys()]],
  );
  const subjects = rows.map((row) => ({ ...row, n: picked.get(row.job), outputCid: cidOf(row.output) }));
  // In the order in which they were drawn, not in that of the database.
  return subjects.sort((a, b) => (a.job < b.job ? -1 : 1));
}
