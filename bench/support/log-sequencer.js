/** A fresh log with the real sequencer and its guard, as a relay runs them. */
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { generateLogKey } from '../../dist/attestation/keys/log-key.js';
import { fixedLogKeyring } from '../../dist/attestation/keys/log-keyring.js';
import { generateReceiptKey } from '../../dist/attestation/keys/receipt-key.js';
import { fileGuard } from '../../dist/attestation/log/guard.js';
import { openLog } from '../../dist/attestation/log/open.js';
import { createLogReader } from '../../dist/attestation/log/reader.js';
import { registerFirstReceiptKey } from '../../dist/attestation/log/receipt-keys.js';
import { startSequencer } from '../../dist/attestation/log/sequencer.js';
import { createLogger } from '../../dist/observability/log.js';
import { findLog } from '../../dist/store/log-state.js';
import { createNotifier, createWakeups } from '../../dist/store/notify.js';
import { createPool } from '../../dist/store/pool.js';

const nothing = () => undefined;
const NOT_TOLD = { sequencersMet: nothing, entryRefused: nothing, witnessAsked: nothing };

/**
 * Resolves when the log has its first entry.
 *
 * @param {{ databaseUrl: string, folder: string, shown?: (size: number) => void }} options `shown`: a signed checkpoint of
 * this size is shown.
 */
export async function openSequencer({ databaseUrl, folder, shown = nothing }) {
  const pool = createPool({ databaseUrl, name: 'bench log' });
  const { logId } = await openLog(pool);
  const key = generateReceiptKey();
  await registerFirstReceiptKey(pool, logId, key);
  const notifier = createNotifier(pool);
  const wakeups = await createWakeups(databaseUrl);
  const sequencer = startSequencer({
    pool,
    databaseUrl,
    logId,
    logKeys: fixedLogKeyring(generateLogKey()),
    notifier,
    wakeups,
    guard: fileGuard(path.join(folder, `guard-${logId}.json`)),
    events: { ...NOT_TOLD, checkpointSigned: ({ size }) => shown(size) },
    log: createLogger('bench', 'warn'),
  });
  while ((sequencer.status().size ?? 0) < 1) await delay(5);
  return {
    pool,
    logId,
    keyId: key.id,
    vkey: (await findLog(pool))?.vkey ?? '',
    reader: createLogReader(pool, logId),
    notifier,
    size: () => sequencer.status().size ?? 0,
    async [Symbol.asyncDispose]() {
      for (const part of [sequencer, notifier, wakeups]) await part[Symbol.asyncDispose]();
      await pool.end();
    },
  };
}
