/**
 * Runs in a process of its own: the sequencer of a fresh log, and nothing beside it.
 *   { start: { databaseUrl, folder } } → { ready, logId, keyId }
 */
import { openSequencer } from './log-sequencer.js';

process.on('disconnect', () => process.exit(0));
process.on('message', async (/** @type {any} */ { start }) => {
  if (start === undefined) return;
  const { logId, keyId } = await openSequencer(start);
  process.send?.({ ready: true, logId, keyId });
});
