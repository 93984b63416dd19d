/**
 * The frame of every `bench:*` and `fuzz:*` program: one JSON line per figure, one that sums up, exit code 1 on a missed
 * bar, everything ended within the time limit whatever happens.
 */
import { setTimeout as delay } from 'node:timers/promises';

/** Disposing takes less than this, or what is left is killed. */
const DISPOSE_MS = 60_000;

/**
 * @typedef {{ peer?: number | null, ratio?: number | null, bar?: number | null, ok?: boolean }} Compared
 * @typedef {object} Program
 * @property {AbortSignal} signal Aborted by SIGINT, SIGTERM and the time limit.
 * @property {<T extends AsyncDisposable>(part: T) => T} use Ends the part with the program, last one first.
 * @property {(name: string, value: number, unit: string, compared?: Compared) => void} report One line.
 * @property {(text: string) => void} say A line for people.
 */

/**
 * Runs `work` and sets the exit code.
 *
 * @param {{ name: string, limitMs: number }} options
 * @param {(program: Program) => Promise<void>} work
 */
export async function runProgram({ name, limitMs }, work) {
  const began = performance.now();
  const stop = new AbortController();
  const parts = [];
  const reported = [];
  const missed = [];
  const limit = setTimeout(
    () => stop.abort(new Error(`not done within ${limitMs / 1_000} s`)),
    limitMs,
  ).unref();
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => stop.abort(new Error(signal)));
  const aborted = new Promise((_, reject) => {
    stop.signal.addEventListener('abort', () => reject(stop.signal.reason), { once: true });
  });
  aborted.catch(() => undefined);

  const line = (name, value, unit, { peer = null, ratio = null, bar = null, ok = true } = {}) =>
    console.log(JSON.stringify({ name, value: rounded(value), unit, peer, ratio, bar, ok }));
  const program = {
    signal: stop.signal,
    use: (part) => (parts.push(part), part),
    say: (text) => console.log(`# ${text}`),
    report(name, value, unit, compared = {}) {
      reported.push(name);
      if (compared.ok === false) missed.push(name);
      line(name, value, unit, {
        ...compared,
        peer: rounded(compared.peer ?? null),
        ratio: rounded(compared.ratio ?? null),
      });
    },
  };
  let failure;
  try {
    await Promise.race([work(program), aborted]);
  } catch (error) {
    failure = error;
  }
  stop.abort(new Error('over'));
  const disposed = (async () => {
    for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
      await part[Symbol.asyncDispose]().catch((error) => console.error(error));
    }
    return true;
  })();
  if (!(await Promise.race([disposed, delay(DISPOSE_MS, false)])))
    console.error('not everything could be ended');
  clearTimeout(limit);
  if (failure !== undefined) console.error(failure);
  if (missed.length > 0) console.log(`# missed: ${missed.join(', ')}`);
  console.log(`# ${reported.length} figures in ${((performance.now() - began) / 1_000).toFixed(0)} s`);
  const ok = failure === undefined && missed.length === 0;
  line(name, missed.length + (failure === undefined ? 0 : 1), 'missed', { bar: 0, ok });
  process.exit(ok ? 0 : 1);
}

/** For `report`: `value` must not be above `bar`. */
export const atMost = (/** @type {number} */ value, /** @type {number} */ bar) => ({ bar, ok: value <= bar });
/** For `report`: `value` must not be below `bar`. */
export const atLeast = (/** @type {number} */ value, /** @type {number} */ bar) => ({
  bar,
  ok: value >= bar,
});

function rounded(value) {
  if (value === null) return null;
  return Number.isFinite(value) ? Math.round(value * 100) / 100 : null;
}
