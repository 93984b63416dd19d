import { WAITS } from './bounds.ts';

/** A process that passes RLIMIT_CPU gets SIGXCPU (24), and SIGKILL (9) a second later. */
const KILLED_FOR_TIME = [128 + 24, 128 + 9];
/** The kernel counts what a process has used and what its group has used in different steps. */
const NEARLY = 0.9;

/** Nothing of the kernel's bounds the processor time of a whole job, so it is looked at while the job runs. */
export function watchProcessorTime(
  seconds: number | null,
  usedMs: () => number,
  onUsedUp: () => void,
): Disposable {
  if (seconds === null) return { [Symbol.dispose]: () => undefined };
  const timer = setInterval(() => {
    if (usedMs() >= seconds * 1_000) onUsedUp();
  }, WAITS.timeWatchMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** Whether a program was ended by its own share of the bound, before anybody looked. */
export function endedForTime(exitCode: number, usedMs: number, seconds: number | null): boolean {
  return seconds !== null && KILLED_FOR_TIME.includes(exitCode) && usedMs >= seconds * 1_000 * NEARLY;
}
