/**
 * A sequencer in a process of its own that kills itself, as `kill -9` does, when it comes to one of the points of a batch.
 * Words: database URL, log id, folder with key and guard, point or `never`, the how manyth time.
 */
import { appendFileSync } from 'node:fs';
import path from 'node:path';
import { loadLogKeyring, type LogKeyring } from '../../attestation/keys/log-keyring.ts';
import type { Faults } from '../../attestation/log/faults.ts';
import { fileGuard } from '../../attestation/log/guard.ts';
import { startSequencer } from '../../attestation/log/sequencer.ts';
import type { NoteSigner } from '../../domain/log/note.ts';
import { createLogger } from '../../observability/log.ts';
import { createNotifier, createWakeups } from '../../store/notify.ts';
import { createPool } from '../../store/pool.ts';

const [databaseUrl = '', logId = '', folder = '', point = 'never', times = '1'] = process.argv.slice(2);
let left = Number(times);
const faults: Faults = (at) => {
  if (at !== point) return;
  left -= 1;
  if (left === 0) process.kill(process.pid, 'SIGKILL');
};

const signedFile = path.join(folder, 'signed.jsonl');
/** Writes down what was signed before anybody can have it, so that a crash right after hides nothing. */
const telling = (signer: NoteSigner): NoteSigner => ({
  ...signer,
  async sign(message) {
    const signature = await signer.sign(message);
    appendFileSync(signedFile, `${JSON.stringify(Buffer.from(message).toString())}\n`);
    return signature;
  },
});
const held = await loadLogKeyring(
  {
    current: { file: path.join(folder, 'keys', 'log.pem') },
    next: { file: path.join(folder, 'keys', 'log.next.pem') },
  },
  { logIsNew: false },
);
const logKeys: LogKeyring = {
  ...held,
  find(vkey) {
    const signer = held.find(vkey);
    return signer === undefined ? undefined : telling(signer);
  },
};

const pool = createPool({ databaseUrl, name: 'dying sequencer' });
startSequencer({
  pool,
  databaseUrl,
  logId,
  logKeys,
  notifier: createNotifier(pool),
  wakeups: await createWakeups(databaseUrl),
  guard: fileGuard(path.join(folder, 'log-guard.json'), faults),
  faults,
  log: createLogger('relay', 'warn'),
});
