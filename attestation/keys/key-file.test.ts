import { generateKeyPairSync } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toHex } from '../../domain/encoding.ts';
import { loadLogKey } from './log-key.ts';
import { nodeSha256, nodeVerifiers } from './node-verifiers.ts';
import { loadReceiptKey } from './receipt-key.ts';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'beacon-keys-'));
  file = path.join(folder, 'keys', 'receipt.pem');
});
afterEach(() => rm(folder, { recursive: true }));

const mode = async (name: string) => (await stat(name)).mode & 0o777;
const pem = (type: 'ed25519' | 'p256') =>
  (type === 'ed25519'
    ? generateKeyPairSync('ed25519')
    : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  ).privateKey
    .export({ format: 'pem', type: 'pkcs8' })
    .toString();

describe('key files', () => {
  it('are made once, for the owner only, and found again', async () => {
    const first = await loadReceiptKey({ file });
    expect(await mode(file)).toBe(0o600);
    expect(await mode(path.dirname(file))).toBe(0o700);
    expect((await loadReceiptKey({ file })).id).toBe(first.id);
  });

  it('are one key for all who create at the same time', async () => {
    const keys = await Promise.all(Array.from({ length: 8 }, () => loadReceiptKey({ file })));
    expect(new Set(keys.map((key) => key.id)).size).toBe(1);
  });

  it.each([0o640, 0o604, 0o660])('are refused with mode %o, naming the remedy', async (wide) => {
    await loadReceiptKey({ file });
    await chmod(file, wide);
    await expect(loadReceiptKey({ file })).rejects.toMatchObject({
      code: 'key_file_modes',
      message: expect.stringContaining(`chmod 600 ${file}`),
    });
  });

  it('are refused in a folder that others can enter', async () => {
    await loadReceiptKey({ file });
    await chmod(path.dirname(file), 0o755);
    await expect(loadReceiptKey({ file })).rejects.toMatchObject({ code: 'key_file_modes' });
    await expect(loadReceiptKey({ file: `${file}.other` })).rejects.toMatchObject({ code: 'key_file_modes' });
  });

  it('are refused behind a link, and when they hold no key', async () => {
    await loadReceiptKey({ file });
    await symlink(file, `${file}.link`);
    await expect(loadReceiptKey({ file: `${file}.link` })).rejects.toMatchObject({
      code: 'key_file_unreadable',
    });
    await writeFile(file, 'no key');
    await expect(loadReceiptKey({ file })).rejects.toMatchObject({ code: 'key_file_unreadable' });
  });

  it('are not needed when the environment brings the key', async () => {
    const text = pem('p256');
    const [a, b] = [await loadReceiptKey({ pem: text, file }), await loadReceiptKey({ pem: text, file })];
    expect(a.id).toBe(b.id);
    await expect(stat(file)).rejects.toThrow();
  });

  it('are never made for reading only', async () => {
    await expect(loadReceiptKey({ file }, { create: false })).rejects.toMatchObject({
      code: 'key_file_unreadable',
    });
    await expect(stat(file)).rejects.toThrow();
  });
});

describe('the receipt key', () => {
  it('is P-256, signs what verifiers accept, and is named by the hash of its public half', async () => {
    const key = await loadReceiptKey({ file });
    const message = Buffer.from('message');
    expect(nodeVerifiers.verifyP256(key.spki, message, await key.sign(message))).toBe(true);
    expect(key.id).toBe(toHex(nodeSha256(key.spki)).slice(0, 16));
    await expect(loadReceiptKey({ pem: pem('ed25519'), file })).rejects.toMatchObject({
      code: 'key_wrong_type',
    });
  });
});

describe('the log key', () => {
  it('is made for a new log only: a log that lost its key gets no second one', async () => {
    await expect(loadLogKey({ file }, { logIsNew: false })).rejects.toMatchObject({
      code: 'key_missing_for_log',
    });
    await expect(stat(file)).rejects.toThrow();
    const made = await loadLogKey({ file }, { logIsNew: true });
    const found = await loadLogKey({ file }, { logIsNew: false });
    expect(toHex(found.publicKey)).toBe(toHex(made.publicKey));
    expect((await readFile(file, 'utf8')).startsWith('-----BEGIN PRIVATE KEY-----')).toBe(true);
  });

  it('is Ed25519 and signs notes under the origin', async () => {
    const signer = (await loadLogKey({ file }, { logIsNew: true })).signerFor('example.org/log');
    const message = Buffer.from('text\n');
    expect(signer.name).toBe('example.org/log');
    expect(nodeVerifiers.verifyEd25519(signer.publicKey, message, await signer.sign(message))).toBe(true);
    await expect(loadLogKey({ pem: pem('p256'), file }, { logIsNew: true })).rejects.toMatchObject({
      code: 'key_wrong_type',
    });
  });
});
