import type { Queryable } from './pool.ts';

/** Who asks, as far as it decides what he may see: `all` for an operator, else the public and what his key owns. */
export interface Viewer {
  all: boolean;
  owner: string | null;
}

/** Who asks without saying who he is. */
export const STRANGER: Viewer = { all: false, owner: null };

/** Who may see a CID of a public job (column `visible_to`); of a private job it is the job's owner. */
export const EVERYBODY = 'all';

export function visibleToOf(job: { owner: string; visibility: string }): string {
  return job.visibility === 'private' ? job.owner : EVERYBODY;
}

/** The condition under which a row with `owner` and `visibility` is seen, with the viewer's parameters at `$at`, `$at + 1`. */
export function visibleTo(row: string, at: number): string {
  return `(${row}.visibility = 'public' or $${at}::bool or ${row}.owner = $${at + 1}::text)`;
}

/** The same of a row that was read before. */
export function isVisible(
  { owner, visibility }: { owner: string | null; visibility: 'public' | 'private' },
  viewer: Viewer,
): boolean {
  return visibility === 'public' || viewer.all || (viewer.owner !== null && owner === viewer.owner);
}

/**
 * What `viewer` sees in lists that are merged from one scan for each visibility: all rows of `visibilities`, and the
 * private rows of `owner`, null when there is nothing to add.
 */
export function viewedLists(viewer: Viewer): { visibilities: string[]; owner: string | null } {
  return viewer.all
    ? { visibilities: ['public', 'private'], owner: null }
    : { visibilities: ['public'], owner: viewer.owner };
}

export function viewerValues(viewer: Viewer): [boolean, string | null] {
  return [viewer.all, viewer.owner];
}

/**
 * Spends the nonce of a signed request; false when it was spent before. Requests are only taken while fresh, so nonces
 * of an hour ago can go.
 */
export async function spendNonce(db: Queryable, owner: string, nonce: string): Promise<boolean> {
  const { rowCount } = await db.query(
    `with old as (
       -- Whoever makes a key for each request leaves one row each, so those of all keys go.
       delete from request_nonces where (owner, nonce) in (
         select owner, nonce from request_nonces where used_at < now() - interval '1 hour'
         order by used_at limit 10 for update skip locked))
     insert into request_nonces (owner, nonce) values ($1, $2) on conflict do nothing`,
    [owner, nonce],
  );
  return rowCount === 1;
}
