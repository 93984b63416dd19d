import * as crypto from 'node:crypto';
import { expect, it } from 'vitest';
import { nodeVerifiers } from './node-verifiers.ts';
import { boundedSigner, pemSigner } from './signer.ts';

const message = Buffer.from('message');
const spki = new Uint8Array();

it('a key in PEM signs as its kind does', async () => {
  const ed25519 = pemSigner(crypto.generateKeyPairSync('ed25519').privateKey);
  const signature = await ed25519.sign(message);
  expect(nodeVerifiers.verifyEd25519(ed25519.spki.slice(-32), message, signature)).toBe(true);
  const p256 = pemSigner(crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
  expect(nodeVerifiers.verifyP256(p256.spki, message, await p256.sign(message))).toBe(true);
});

it('a signer that answers later is waited for', async () => {
  const signer = boundedSigner(spki, async (bytes) => Promise.resolve(bytes));
  expect(await signer.sign(message)).toEqual(message);
});

it('a signer that does not answer is given up, and told so', async () => {
  let given: AbortSignal | undefined;
  const silent = boundedSigner(
    spki,
    (_bytes, signal) => {
      given = signal;
      return new Promise<never>(() => undefined);
    },
    5,
  );
  await expect(silent.sign(message)).rejects.toMatchObject({ code: 'signing_timed_out' });
  expect(given?.aborted).toBe(true);
});

it('a signer that fails says why, at once or later', async () => {
  const cause = new Error('the service is down');
  const throwing = boundedSigner(spki, () => {
    throw cause;
  });
  const rejecting = boundedSigner(spki, () => Promise.reject(cause));
  for (const signer of [throwing, rejecting]) {
    await expect(signer.sign(message)).rejects.toMatchObject({ code: 'signing_failed', cause });
  }
});
