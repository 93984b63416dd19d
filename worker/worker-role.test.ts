import { expect, test } from 'vitest';
import { readSettings } from '../config/settings.ts';
import { createLogger } from '../observability/log.ts';
import { writeTrustMode } from '../store/trust-mode.ts';
import { testDatabase } from '../test/support/postgres.ts';
import { temporaryFolder } from '../test/support/temporary-folder.ts';
import { startWorkerRole } from './worker-role.ts';

const start = async (url: string, state: string) => {
  const settings = readSettings({
    DATABASE_URL: url,
    // Nothing listens there: a worker that is not refused before fails for that.
    TEMPORAL_ADDRESS: '127.0.0.1:1',
    BEACON_STATE: state,
    LOCAL_PROCESS_DIGESTS: 'shipped',
  });
  const role = await startWorkerRole(settings, createLogger('test', 'silent'), ['backend-local']);
  await role[Symbol.asyncDispose]();
};

test('a worker refuses bare processes when the API takes jobs of anybody, whatever its own settings say', async () => {
  await using db = await testDatabase();
  await using folder = await temporaryFolder();
  await writeTrustMode(db.pool, { open: true, loopback_only: false });
  await expect(start(db.url, folder.path)).rejects.toMatchObject({
    code: 'invalid_setting',
    message: expect.stringMatching(/LOCAL_PROCESS_DIGESTS.*the API/),
  });
  for (const mode of [
    { open: true, loopback_only: true },
    { open: false, loopback_only: false },
  ]) {
    await writeTrustMode(db.pool, mode);
    await expect(start(db.url, folder.path)).rejects.toMatchObject({
      code: 'temporal_away',
      message: 'Temporal at 127.0.0.1:1 (TEMPORAL_ADDRESS): nothing listens there',
    });
  }
}, 60_000);

test('a worker that starts beside an API waits for its word; what the one before took does not stand', async () => {
  await using db = await testDatabase();
  await using folder = await temporaryFolder();
  await writeTrustMode(db.pool, { open: true, loopback_only: false });
  const starting = start(db.url, folder.path);
  setTimeout(() => void writeTrustMode(db.pool, { open: true, loopback_only: true }), 1_500);
  await expect(starting).rejects.toMatchObject({ code: 'temporal_away' });
}, 60_000);
