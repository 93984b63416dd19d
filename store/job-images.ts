import type { Queryable } from './pool.ts';

/** Pins an image of a job to a digest unless it is pinned already; answers the digest that counts. */
export async function pinImage(db: Queryable, jobId: string, image: string, digest: string): Promise<string> {
  const pinned = await db.query<{ digest: string }>(
    'insert into job_images (job_id, image, digest) values ($1, $2, $3) on conflict do nothing returning digest',
    [jobId, image, digest],
  );
  if (pinned.rows[0] !== undefined) return pinned.rows[0].digest;
  // A statement of its own: it sees what the other one, that was waited for, has committed.
  const { rows } = await db.query<{ digest: string }>(
    'select digest from job_images where job_id = $1 and image = $2',
    [jobId, image],
  );
  return rows[0]!.digest;
}
