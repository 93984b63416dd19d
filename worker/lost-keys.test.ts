import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { generateReceiptKey } from '../attestation/keys/receipt-key.ts';
import { openLog } from '../attestation/log/open.ts';
import { registerFirstReceiptKey } from '../attestation/log/receipt-keys.ts';
import { readSettings } from '../config/settings.ts';
import { createLogger } from '../observability/log.ts';
import { fixVkey } from '../store/log-state.ts';
import { testDatabase } from '../test/support/postgres.ts';
import { temporaryFolder } from '../test/support/temporary-folder.ts';
import { startRelayRole } from './relay-role.ts';
import { startWorkerRole } from './worker-role.ts';

const log = createLogger('test', 'silent');
const settingsOf = (url: string, state: string) =>
  readSettings({ DATABASE_URL: url, TEMPORAL_ADDRESS: '127.0.0.1:1', BEACON_STATE: state });
const keysIn = (state: string) => readdir(path.join(state, 'keys')).catch(() => []);

test('a log whose receipt key is lost gets no other one, and the next step is said', async () => {
  await using db = await testDatabase();
  await using folder = await temporaryFolder();
  const { logId } = await openLog(db.pool);
  const key = generateReceiptKey();
  await registerFirstReceiptKey(db.pool, logId, key);
  await expect(startWorkerRole(settingsOf(db.url, folder.path), log, ['beacon'])).rejects.toMatchObject({
    code: 'key_missing_for_log',
    message: expect.stringMatching(
      new RegExp(`${key.id} is not at .*receipt.pem: put the file back.*runbook`),
    ),
  });
  expect(await keysIn(folder.path)).toEqual([]);
});

test('a log that has none yet gets a receipt key', async () => {
  await using db = await testDatabase();
  await using folder = await temporaryFolder();
  // Nothing listens at the address of Temporal: the start fails after the key.
  await expect(startWorkerRole(settingsOf(db.url, folder.path), log, ['beacon'])).rejects.toThrow();
  expect(await keysIn(folder.path)).toEqual(['receipt.pem']);
});

test('a log that was given its key once gets no other one, though it has no entry yet', async () => {
  await using db = await testDatabase();
  await using folder = await temporaryFolder();
  const { logId } = await openLog(db.pool);
  await fixVkey(db.pool, logId, 'beacon.local/x+00000000+AAAA', '0000000000000000');
  await expect(startRelayRole(settingsOf(db.url, folder.path), log)).rejects.toMatchObject({
    code: 'key_missing_for_log',
    message: expect.stringMatching(/log.pem: put the file back.*runbook/),
  });
  expect(await keysIn(folder.path)).toEqual([]);
});
