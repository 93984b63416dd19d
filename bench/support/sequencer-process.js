/**
 * Runs in a process of its own: the sequencer of a fresh log, and nothing beside it.
 *   { start: { databaseUrl, folder } } → { ready, logId, keyId, vkey }, and from then on { shown: size } for each checkpoint
 *   { collect: true }                  → { memory: { heap, external } }  in MiB, after a full collection
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { openSequencer } from './log-sequencer.js';

// By SIGTERM too, or a profile is not written.
for (const end of ['disconnect', 'SIGTERM']) process.on(end, () => process.exit(0));
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');
const mib = (/** @type {number} */ bytes) => Math.round((bytes / 1024 / 1024) * 10) / 10;

process.on('message', async (/** @type {any} */ { start, collect: wanted }) => {
  if (wanted === true) {
    collect();
    const { heapUsed, external } = process.memoryUsage();
    process.send?.({ memory: { heap: mib(heapUsed), external: mib(external) } });
  }
  if (start === undefined) return;
  const shown = (/** @type {number} */ size) => process.send?.({ shown: size });
  const { logId, keyId, vkey } = await openSequencer({ ...start, shown });
  process.send?.({ ready: true, logId, keyId, vkey });
});
