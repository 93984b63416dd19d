// Executions on an emulated Golem Network: 50 at once on 40 providers, what the worker keeps of 1,000, and what of an
// execution's time is our own.
// npm run bench:golem   (5 minutes; BENCH_GOLEM_EXECUTIONS for another number)
import { fileURLToPath } from 'node:url';
import { performance } from 'node:perf_hooks';
import { golemProcess, yagnaProcess } from './support/golem.js';
import { percentile } from './support/measure.js';
import { atMost, runProgram } from './support/program.js';

const LIMIT_MS = 600_000;
const PROVIDERS = 40;
const PARALLEL = 50;
const EXECUTIONS = Number(process.env.BENCH_GOLEM_EXECUTIONS ?? 1_000);
/** Before them: what compiles, connects and fills caches of a fixed size. */
const WARM_UP = 400;
/** One after the other, for the time of one. */
const ALONE = 60;
/** Fixed in the SDK: its pause after a deploy. */
const SDK_PAUSE_MS = 1_000;
/** Bars. */
const GROWTH_BAR = 0.2;
const OWN_BAR_MS = 300;

await runProgram({ name: 'bench_golem', limitMs: LIMIT_MS }, async ({ use, report, say }) => {
  const yagna = use(await yagnaProcess(PROVIDERS));
  const worker = use(
    await golemProcess(yagna, fileURLToPath(new URL('support/golem-worker.js', import.meta.url))),
  );
  const began = performance.now();
  const warm = await worker.run({ count: WARM_UP, parallel: PARALLEL });
  const warmed = performance.now();
  const before = await worker.memory();
  const goesOn = performance.now();
  const rest = await worker.run({ count: EXECUTIONS, parallel: PARALLEL });
  const seconds = (warmed - began + performance.now() - goesOn) / 1_000;
  const after = await worker.memory();
  const alone = await worker.run({ count: ALONE, parallel: 1 });
  const worked = await yagna.worked(alone.activities);
  const own = alone.totalMs.map((ms, at) => ms - SDK_PAUSE_MS - worked[at]);
  const failed = warm.failed + rest.failed;
  say(
    `${WARM_UP + EXECUTIONS} executions in ${seconds.toFixed(1)} s, ${PARALLEL} at once on ${PROVIDERS} providers, ${failed} failed, ` +
      `heap ${before.heapMib.toFixed(1)} -> ${after.heapMib.toFixed(1)} MiB, resident ${before.residentMib.toFixed(0)} -> ${after.residentMib.toFixed(0)} MiB`,
  );
  const p95 = percentile(own, 0.95);
  say(
    `one after another: median ${percentile(alone.totalMs, 0.5).toFixed(0)} ms, of which the SDK pauses ${SDK_PAUSE_MS} ms and the provider ` +
      `works ${percentile(worked, 0.5).toFixed(0)} ms; our own median ${percentile(own, 0.5).toFixed(0)} ms, p95 ${p95.toFixed(0)} ms`,
  );
  const allFailed = failed + alone.failed;
  report('golem_failed_executions', allFailed, 'executions', atMost(allFailed, 0));
  const open = (await yagna.problems()).length;
  report('golem_open_after_run', open, 'entries', atMost(open, 0));
  const growth = after.heapMib / before.heapMib - 1;
  report('golem_heap_growth', growth, 'share', atMost(growth, GROWTH_BAR));
  report('golem_own_time_p95', p95, 'ms', atMost(p95, OWN_BAR_MS));
});
