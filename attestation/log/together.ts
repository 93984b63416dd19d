/** Runs all works until `term` is over or one of them ends; then the others are asked to end. Rejects as the first that did. */
export async function together(
  term: AbortSignal,
  works: readonly ((signal: AbortSignal) => Promise<void>)[],
): Promise<void> {
  const over = new AbortController();
  const signal = AbortSignal.any([term, over.signal]);
  const failures: unknown[] = [];
  await Promise.all(
    works.map(async (work) => {
      try {
        await work(signal);
      } catch (error) {
        failures.push(error);
      } finally {
        over.abort();
      }
    }),
  );
  if (failures.length > 0) throw failures[0];
}
