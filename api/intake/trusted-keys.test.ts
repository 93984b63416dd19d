import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLogger } from '../../observability/log.ts';
import { testKey } from '../../test/support/api.ts';
import { loadTrustList, parseTrustList } from './trusted-keys.ts';

const log = createLogger('test', 'silent');
const key = testKey().text;
const row = (over: object = {}) => ({ kid: 'a', public_key: key, ...over });
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'beacon-trust-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('the list of trusted keys', () => {
  test.each([
    ['a label twice', [row(), row({ public_key: testKey().text })]],
    ['a key twice, once without padding', [row(), row({ kid: 'b', public_key: key.replace('=', '') })]],
    ['no label', [row({ kid: '' })]],
    ['a short key', [row({ public_key: 'AAAA' })]],
    ['an unknown status', [row({ status: 'maybe' })]],
    ['a time that is none', [row({ not_after: 'tomorrow' })]],
    [
      'an end before its beginning',
      [row({ not_before: '2026-01-02T00:00:00Z', not_after: '2026-01-01T00:00:00Z' })],
    ],
    ['text', 'keys'],
  ])('with %s is refused', (_name, list) => {
    expect(() => parseTrustList(JSON.stringify(list))).toThrow(
      expect.objectContaining({ code: 'trust_list_invalid' }),
    );
  });

  test('that is wrong is refused with what is wrong and where', () => {
    const said = (list: unknown) => () => parseTrustList(JSON.stringify(list));
    expect(said([row(), { kid: 'b' }])).toThrow(/TRUSTED_KEYS_JSON.*: entry 2: public_key is not a text$/);
    expect(said(row({ status: 'activ' }))).toThrow(/: entry 1: status must be active or revoked$/);
    expect(said([row(), row({ public_key: testKey().text })])).toThrow(/kid \S+ stands twice$/);
    expect(() => parseTrustList('{')).toThrow(/TRUSTED_KEYS_FILE\) is not JSON$/);
    expect(parseTrustList(JSON.stringify(row())).size).toBe(1);
  });

  test('says of a key what holds at the time', async () => {
    const keysJson = JSON.stringify([
      row({ not_before: '2026-01-01T00:00:00Z', not_after: '2026-12-31T00:00:00+01:00' }),
    ]);
    await using list = await loadTrustList({ keysJson, keysFile: null, reloadMs: 0 }, log);
    const at = (time: string) => list.evaluate(key, Date.parse(time));
    expect(at('2025-12-31T23:59:59Z')).toBe('not_yet_valid');
    expect(at('2026-06-01T00:00:00Z')).toBe('trusted');
    expect(at('2026-12-30T23:00:01Z')).toBe('expired');
    expect(list.evaluate(testKey().text, Date.now())).toBe('unknown');
  });

  test('that does not exist is empty; one that is wrong is refused at start', async () => {
    const keysFile = path.join(folder, 'keys.json');
    await using list = await loadTrustList({ keysJson: null, keysFile, reloadMs: 0 }, log);
    expect(list.evaluate(key, Date.now())).toBe('unknown');
    await writeFile(keysFile, '{');
    await expect(loadTrustList({ keysJson: null, keysFile, reloadMs: 0 }, log)).rejects.toMatchObject({
      code: 'trust_list_invalid',
    });
  });

  test('is read again while it runs, and a wrong one leaves the old in force', async () => {
    const keysFile = path.join(folder, 'keys.json');
    await writeFile(keysFile, JSON.stringify([row()]));
    await using list = await loadTrustList({ keysJson: null, keysFile, reloadMs: 5 }, log);
    expect(list.evaluate(key, Date.now())).toBe('trusted');
    await writeFile(keysFile, JSON.stringify([row({ status: 'revoked' })]));
    await expect.poll(() => list.evaluate(key, Date.now())).toBe('revoked');
    const other = testKey().text;
    await writeFile(keysFile, 'broken');
    expect(list.evaluate(key, Date.now())).toBe('revoked');
    await writeFile(keysFile, JSON.stringify([row({ public_key: other })]));
    await expect.poll(() => list.evaluate(other, Date.now())).toBe('trusted');
  });
});
