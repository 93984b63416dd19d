import * as crypto from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import { sha512 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ed25519Library, verifyEd25519Fast } from './libsodium.ts';
import { nodeVerifiers } from './node-verifiers.ts';

const signer = crypto.generateKeyPairSync('ed25519');
const key = new Uint8Array(signer.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32));
const flip = (bytes: Uint8Array, bit: number) => {
  const copy = Uint8Array.from(bytes);
  copy[bit >> 3]! ^= 1 << (bit & 7);
  return copy;
};

it('is there where it was installed', () => {
  expect(ed25519Library).toBe('libsodium');
});

it('accepts what Node signed and refuses it with any bit flipped', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 64 }),
      fc.nat(511),
      fc.nat(255),
      async (message, bit, keyBit) => {
        const signature = crypto.sign(null, message, signer.privateKey);
        expect(await verifyEd25519Fast(key, message, signature)).toBe(true);
        expect(await verifyEd25519Fast(key, message, flip(signature, bit))).toBe(false);
        expect(await verifyEd25519Fast(flip(key, keyBit), message, signature)).toBe(false);
        expect(await verifyEd25519Fast(key, Uint8Array.of(...message, 0), signature)).toBe(false);
      },
    ),
    { numRuns: 50 },
  );
});

it('answers false, without throwing, for keys and signatures of the wrong length', async () => {
  const nothing = new Uint8Array();
  expect(await verifyEd25519Fast(nothing, nothing, nothing)).toBe(false);
  expect(await verifyEd25519Fast(key, nothing, new Uint8Array(63))).toBe(false);
  expect(await verifyEd25519Fast(new Uint8Array(33), nothing, new Uint8Array(64))).toBe(false);
});

/** Where implementations are known to differ: points with a part of small order, which only who makes the key can sign with. */
function crafted(inKey: boolean, inPoint: boolean) {
  const order = ed25519.Point.Fn.ORDER;
  const eighth = ed25519.Point.fromHex('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05');
  const [secret, nonce] = [0x1234567890abcdefn, 0xfedcba0987654321n];
  const point = (scalar: bigint, crooked: boolean) => {
    const straight = ed25519.Point.BASE.multiply(scalar);
    return (crooked ? straight.add(eighth) : straight).toBytes();
  };
  const message = Buffer.from('a spec');
  const [publicKey, commitment] = [point(secret, inKey), point(nonce, inPoint)];
  const hash = sha512(Buffer.concat([commitment, publicKey, message])).toReversed();
  const scalar = (nonce + BigInt(`0x${Buffer.from(hash).toString('hex')}`) * secret) % order;
  const response = Buffer.from(scalar.toString(16).padStart(64, '0'), 'hex').reverse();
  return { publicKey, message, signature: Buffer.concat([commitment, response]) };
}

it.each([
  ['of nobody', crafted(false, false), true],
  ['with a key of mixed order', crafted(true, false), false],
  ['with a commitment of mixed order', crafted(false, true), false],
  ['with both', crafted(true, true), false],
  [
    'with the key of order one, which signs everything',
    {
      publicKey: Uint8Array.of(1, ...Array<number>(31).fill(0)),
      message: Buffer.from('a'),
      signature: Uint8Array.of(1, ...Array<number>(63).fill(0)),
    },
    false,
  ],
])(
  'accepts nothing that OpenSSL refuses: a signature %s',
  async (_name, { publicKey, message, signature }, holds) => {
    const answer = await verifyEd25519Fast(publicKey, message, signature);
    expect(answer).toBe(holds);
    if (answer) expect(nodeVerifiers.verifyEd25519(publicKey, message, signature)).toBe(true);
  },
);
