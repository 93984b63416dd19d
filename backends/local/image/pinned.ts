/** The image of a job: its name as signed, and which digest that is, once an attempt of the job has found out. */
export interface Wanted {
  name: string;
  digest: string | null;
  /** Says what this attempt found; answers what counts for the whole job. */
  pin(digest: string): Promise<string>;
}

/**
 * What all regions run: the digest that counts is looked for, else the tag is resolved and pinned, and where another
 * attempt was faster its digest is looked for instead. `resolve` refuses when it cannot have exactly that digest.
 */
export async function pinned<T extends { digest: string }>(
  wanted: Wanted,
  resolve: (digest: string | null) => Promise<T>,
): Promise<T> {
  const found = await resolve(wanted.digest);
  if (wanted.digest !== null) return found;
  const counts = await wanted.pin(found.digest);
  return counts === found.digest ? found : resolve(counts);
}
