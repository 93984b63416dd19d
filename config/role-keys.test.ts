import { expect, test } from 'vitest';
import { withoutForeignKeys } from './role-keys.ts';
import { readSettings } from './settings.ts';

test.each([
  ['api', []],
  ['relay', ['BEACON_LOG_KEY_PEM', 'BEACON_LOG_NEXT_KEY_PEM', 'BEACON_COSIGNER_KEY_PEM']],
  ['worker', ['BEACON_RECEIPT_KEY_PEM']],
] as const)('%s keeps no key but its own', (role, own) => {
  const all = [
    'BEACON_LOG_KEY_PEM',
    'BEACON_LOG_NEXT_KEY_PEM',
    'BEACON_COSIGNER_KEY_PEM',
    'BEACON_RECEIPT_KEY_PEM',
  ] as const;
  const given = readSettings(
    Object.fromEntries(
      all.map((name) => [name, '-----BEGIN PRIVATE KEY-----\nkey\n-----END PRIVATE KEY-----\n']),
    ),
  );
  const { settings, ignored } = withoutForeignKeys(role, given);
  expect(all.filter((name) => settings[name] !== null)).toEqual(own);
  expect(ignored).toHaveLength(all.length - own.length);
  expect(withoutForeignKeys(role, readSettings({})).ignored).toEqual([]);
});
