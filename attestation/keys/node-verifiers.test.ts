import * as crypto from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { portableVerifiers } from '../../domain/crypto-portable.ts';
import { nodeVerifiers, verifyEd25519InPool } from './node-verifiers.ts';

const p256 = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
const p256Spki = new Uint8Array(p256.publicKey.export({ format: 'der', type: 'spki' }));
const ed25519 = crypto.generateKeyPairSync('ed25519');
const ed25519Raw = new Uint8Array(ed25519.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32));

const flip = (bytes: Uint8Array, bit: number) => {
  const copy = Uint8Array.from(bytes);
  const at = Math.floor(bit / 8) % copy.length;
  copy[at] = copy[at]! ^ (1 << (bit % 8));
  return copy;
};

describe.each([
  ['portable', portableVerifiers],
  ['node', nodeVerifiers],
])('%s verifiers', (_name, verifiers) => {
  it('hash as SHA-256', () => {
    const bytes = Buffer.from('abc');
    expect(Buffer.from(verifiers.sha256(bytes)).toString('hex')).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
  });

  it('accept what Node signed and refuse it with any bit flipped', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), fc.nat(511), (message, bit) => {
        const der = crypto.sign('sha256', message, p256.privateKey);
        expect(verifiers.verifyP256(p256Spki, message, der)).toBe(true);
        expect(verifiers.verifyP256(p256Spki, message, flip(der, bit))).toBe(false);
        expect(verifiers.verifyP256(p256Spki, flip(message, bit), der)).toBe(false);
        const signature = crypto.sign(null, message, ed25519.privateKey);
        expect(verifiers.verifyEd25519(ed25519Raw, message, signature)).toBe(true);
        expect(verifiers.verifyEd25519(ed25519Raw, message, flip(signature, bit))).toBe(false);
        expect(verifiers.verifyEd25519(ed25519Raw, flip(message, bit), signature)).toBe(false);
      }),
      { numRuns: 25 },
    );
  });

  it('answer false, without throwing, for keys and signatures of the wrong shape', () => {
    const nothing = new Uint8Array();
    expect(verifiers.verifyP256(nothing, nothing, nothing)).toBe(false);
    expect(verifiers.verifyP256(p256Spki, nothing, nothing)).toBe(false);
    expect(verifiers.verifyEd25519(nothing, nothing, nothing)).toBe(false);
    expect(verifiers.verifyEd25519(ed25519Raw, nothing, new Uint8Array(64))).toBe(false);
    const p384 = crypto.generateKeyPairSync('ec', { namedCurve: 'P-384' });
    const spki = p384.publicKey.export({ format: 'der', type: 'spki' });
    expect(verifiers.verifyP256(spki, nothing, crypto.sign('sha256', nothing, p384.privateKey))).toBe(false);
  });
});

it('verifies in the thread pool as on the spot', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 64 }), fc.nat(511), async (message, bit) => {
      const signature = crypto.sign(null, message, ed25519.privateKey);
      expect(await verifyEd25519InPool(ed25519Raw, message, signature)).toBe(true);
      expect(await verifyEd25519InPool(ed25519Raw, message, flip(signature, bit))).toBe(false);
      const other = flip(ed25519Raw, bit);
      expect(await verifyEd25519InPool(other, message, signature)).toBe(
        nodeVerifiers.verifyEd25519(other, message, signature),
      );
    }),
    { numRuns: 25 },
  );
  const nothing = new Uint8Array();
  expect(await verifyEd25519InPool(nothing, nothing, nothing)).toBe(false);
  expect(await verifyEd25519InPool(ed25519Raw, nothing, new Uint8Array(64))).toBe(false);
});
