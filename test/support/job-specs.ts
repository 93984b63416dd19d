import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import fc from 'fast-check';
import type { Verifiers } from '../../domain/crypto.ts';
import type { SpecSigner } from '../../domain/signing/sign.ts';

/** An Ed25519 key of node:crypto, made for the test. */
export function testSigner(): SpecSigner {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const jwk = publicKey.export({ format: 'jwk' });
  return {
    publicKey: Buffer.from(jwk.x!, 'base64url'),
    sign: (message) => sign(null, message, privateKey),
  };
}

/** Ed25519 of node:crypto, which shares nothing with the portable implementation. */
export const verifyEd25519: Verifiers['verifyEd25519'] = (publicKey, message, signature) => {
  const x = Buffer.from(publicKey).toString('base64url');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  return verify(null, message, key, signature);
};

export interface TestSpec {
  [key: string]: unknown;
  benchmark: Record<string, unknown> & { container: Record<string, unknown>; input: Record<string, unknown> };
  constraints: Record<string, unknown>;
  metadata: Record<string, unknown>;
}

/** A small job spec that is valid without signature; each call makes a new one to change. */
export function testSpec(): TestSpec {
  return {
    id: 'job-1',
    version: '1.0',
    benchmark: {
      name: 'identity',
      container: { image: 'builtin:echo', command: ['sh', '-c', 'echo <&>'] },
      input: { type: 'prompt', data: { prompt: 'Who are you? 😀' }, hash: 'dummy-hash' },
    },
    constraints: { regions: ['US', 'EU', 'APAC'], timeout: 600_000_000_000 },
    metadata: { nonce: 'n-1' },
    created_at: '2026-01-01T00:00:00Z',
  };
}

/** Text without NUL and lone surrogates, rich in what the canonical forms treat differently. */
export const jsonText = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom(...Array.from('<>&\u2028\u2029\b\f\n\t"\\/\u007f\ufeff\uffff\ue000é😀')),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    ),
  })
  .filter((text) => !/[\0\p{Surrogate}]/u.test(text));

/** Any JSON value that Beacon takes, as a plain value of JavaScript. */
export const jsonValue: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    jsonText,
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value')),
    fc.dictionary(jsonText, tie('value')),
  ),
})).value;

export const jsonObject: fc.Arbitrary<Record<string, unknown>> = fc.dictionary(jsonText, jsonValue);
