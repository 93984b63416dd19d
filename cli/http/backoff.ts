const FIRST_MS = 250;
const LAST_MS = 5_000;

/** How long to wait before try `failures + 1`: doubling, between half and all of it, so that clients do not march in step. */
export function backoffMs(failures: number, random: () => number = Math.random): number {
  const most = Math.min(LAST_MS, FIRST_MS * 2 ** Math.max(0, failures - 1));
  return most * (0.5 + random() / 2);
}
