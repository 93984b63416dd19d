import { createRequire } from 'node:module';
import { expect, it } from 'vitest';
import { noEvidence, silentLog } from '../../test/support/golem.ts';
import { createGolemBackend, golemSettings } from './index.ts';
import { loadSdk } from './sdk.ts';

const { cache } = createRequire(import.meta.url);
const isLoaded = (): boolean => Object.keys(cache).some((file) => file.includes('golem-js'));

it('nothing loads the SDK but a connection, not even the role that may serve Golem', async () => {
  await import('../../worker/worker-role.ts');
  await import('../../worker/golem.ts');
  createGolemBackend(golemSettings({ yagnaUrl: 'http://127.0.0.1:1', apiKey: 'key' }), {
    log: silentLog,
    evidence: noEvidence,
  });
  expect(isLoaded()).toBe(false);
  loadSdk();
  expect(isLoaded()).toBe(true);
});
