import { expect, test } from 'vitest';
import { contradictions, doubts } from './doubts.ts';
import { readSettings } from './settings.ts';
import { VARIABLES } from './variables.ts';

test.each([
  ['TRUST_ENFROCE', 'TRUST_ENFORCE'],
  ['HTTP_PRT', 'HTTP_PORT'],
  ['GOLEM_MAX_STARTPRICE', 'GOLEM_MAX_START_PRICE'],
  ['TRUSTED_KEY_FILE', 'TRUSTED_KEYS_FILE'],
])('%s is not read, and %s is named', (wrong, meant) => {
  expect(doubts({ [wrong]: 'true' })).toEqual([`${wrong} is no setting and not read; is ${meant} meant?`]);
});

test('what others set is none of our business', () => {
  const names = [
    ...Object.keys(VARIABLES),
    ...[
      'PATH',
      'HOME',
      'HTTP_PROXY',
      'HTTPS_PROXY',
      'NO_COLOR',
      'NODE_OPTIONS',
      'LOG',
      'PORT',
      'YAGNA_APPKEY',
    ],
    ...[
      'BEACON_API',
      'BEACON_KEY',
      'BEACON_DEBUG',
      'BEACON_TEST_POSTGRES_URL',
      'DOCKER_CONFIG',
      'XDG_CONFIG_HOME',
    ],
  ];
  expect(doubts(Object.fromEntries(names.map((name) => [name, '1'])))).toEqual([]);
});

test.each([
  [{ BACKENDS: 'EU=golem;*=local' }, 'BACKENDS sends EU to golem, but GOLEM_API_KEY is not set'],
  [{ BACKENDS: '*=local,golem' }, 'BACKENDS sends every region to golem'],
  [{ IPFS_REPLICATION: '2' }, 'IPFS_REPLICATION asks for 2 services, IPFS_PINNING_SERVICES names 0'],
  [{ TRUST_ENFORCE: 'true' }, 'nobody can submit'],
])('%j is said to contradict itself', (env, said) => {
  expect(contradictions(readSettings(env))).toEqual([expect.stringContaining(said)]);
});

test('what belongs together is no contradiction', () => {
  expect(contradictions(readSettings({}))).toEqual([]);
  expect(contradictions(readSettings({ BACKENDS: '*=golem', GOLEM_API_KEY: 'key' }))).toEqual([]);
  expect(contradictions(readSettings({ TRUST_ENFORCE: 'true', TRUSTED_KEYS_JSON: '[]' }))).toEqual([]);
});
