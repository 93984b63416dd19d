import { expect, test } from 'vitest';
import { withoutForeignKeys } from './role-keys.ts';
import { readSettings } from './settings.ts';

test.each([
  ['api', null, null],
  ['relay', 'log', null],
  ['worker', null, 'receipt'],
] as const)('%s keeps no key but its own', (role, logKey, receiptKey) => {
  const given = readSettings({ BEACON_LOG_KEY_PEM: 'log', BEACON_RECEIPT_KEY_PEM: 'receipt' });
  const { settings, ignored } = withoutForeignKeys(role, given);
  expect([settings.BEACON_LOG_KEY_PEM, settings.BEACON_RECEIPT_KEY_PEM]).toEqual([logKey, receiptKey]);
  expect(ignored).toHaveLength(role === 'api' ? 2 : 1);
  expect(withoutForeignKeys(role, readSettings({})).ignored).toEqual([]);
});
