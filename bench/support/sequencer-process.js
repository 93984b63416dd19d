/**
 * Runs in a process of its own: the sequencer of a fresh log, and nothing beside it.
 *   { start: { databaseUrl, folder } } → { ready, logId, keyId }
 */
import { openSequencer } from './log-sequencer.js';

// By SIGTERM too, or a profile is not written.
for (const end of ['disconnect', 'SIGTERM']) process.on(end, () => process.exit(0));
process.on('message', async (/** @type {any} */ { start }) => {
  if (start === undefined) return;
  const { logId, keyId } = await openSequencer(start);
  process.send?.({ ready: true, logId, keyId });
});
