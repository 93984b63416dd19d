import * as crypto from 'node:crypto';
import { beforeAll, expect, test } from 'vitest';
import { nodeVerifiers } from '../attestation/keys/node-verifiers.ts';
import { LINK_CASES } from '../test/support/altered-bundles.ts';
import { signedJob, type SignedJob } from '../test/support/signed-job.ts';
import type { Verifiers } from './crypto.ts';
import { portableVerifiers } from './crypto-portable.ts';
import { withWebCrypto, type WebCrypto } from './crypto-web.ts';
import { specVerifier } from './receipt/spec-facts.ts';
import { verifyBundle } from './receipt/verify.ts';

const subtle = crypto.webcrypto.subtle as WebCrypto;
let signed: SignedJob;
beforeAll(async () => {
  signed = await signedJob();
});

const judged = (check: (verifiers: Verifiers) => boolean, by = subtle) =>
  withWebCrypto(check, by, portableVerifiers);
const verdictOf = (bundle: unknown, by = subtle) =>
  withWebCrypto(
    (verifiers) => verifyBundle(bundle, signed.trust, { verifiers, verifySpec: specVerifier(verifiers) }),
    by,
    portableVerifiers,
  );

test('a bundle gets the same verdict as with Node, whole or with anything altered', async () => {
  expect(await verdictOf(signed.job)).toEqual(verifyBundle(signed.job, signed.trust, signed.tools));
  for (const [what, change] of LINK_CASES) {
    const bundle = structuredClone(signed.execution);
    change(bundle);
    expect(await verdictOf(bundle), what).toEqual(verifyBundle(bundle, signed.trust, signed.tools));
  }
});

/** How often a check ran, keys were imported and signatures judged. */
async function counted(bundle: unknown, hinted = true) {
  const count = { runs: 0, imports: 0, verified: 0 };
  const counting: WebCrypto = {
    importKey: (...args) => {
      count.imports++;
      return subtle.importKey(...args);
    },
    verify: (...args) => {
      count.verified++;
      return subtle.verify(...args);
    },
  };
  const verdict = await withWebCrypto(
    (verifiers) => {
      count.runs++;
      const bySpec = specVerifier(verifiers);
      const verifySpec = hinted ? bySpec : (raw: Uint8Array) => bySpec(raw);
      return verifyBundle(bundle, signed.trust, { verifiers, verifySpec });
    },
    counting,
    portableVerifiers,
  );
  return { verdict, ...count };
}

test('a check runs once where all holds that the bundle says, and keys are imported once for all', async () => {
  for (const bundle of [signed.job, signed.execution]) {
    const { verdict, runs, imports, verified } = await counted(bundle);
    // Signed over one of the last texts that are tried.
    expect(verdict).toMatchObject({ ok: true, specForm: 'V0' });
    expect(runs).toBe(1);
    expect(imports).toBeLessThan(verified);
  }
});

test('it runs a few times, however many texts a signature is tried over, where nobody says over which it holds', async () => {
  const { verdict, runs } = await counted(signed.job, false);
  expect(verdict).toMatchObject({ ok: true, specForm: 'V0' });
  expect(runs).toBe(3);
});

test('what a check throws counts in the run in which every answer was right', async () => {
  const { publicKey, privateKey } = crypto.generateKeyPairSync('ed25519');
  const key = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' })).slice(-32);
  const message = Uint8Array.of(1, 2, 3);
  const signature = new Uint8Array(crypto.sign(null, message, privateKey));
  const other = Uint8Array.of(4);
  // The signature does not hold over the first text, so over the second it is taken not to hold either, until it is judged.
  const both = (texts: Uint8Array[]) =>
    judged((verifiers) => {
      if (!texts.some((text) => verifiers.verifyEd25519(key, text, signature))) throw new Error('none holds');
      return true;
    });
  await expect(both([other, other.with(0, 5), message])).resolves.toBe(true);
  await expect(both([other, other.with(0, 5)])).rejects.toThrow('none holds');
});

test('a signature is only good when the browser said so', async () => {
  const never: WebCrypto = { ...subtleOf(), verify: () => Promise.resolve(false) };
  expect(await verdictOf(signed.execution, never)).toMatchObject({ ok: false });
});

test('where the browser does not know an algorithm, the portable cryptography judges', async () => {
  const unknown: WebCrypto = {
    ...subtleOf(),
    importKey: () => Promise.reject(new Error('NotSupportedError')),
  };
  expect(await verdictOf(signed.execution, unknown)).toMatchObject({ ok: true });
  const bundle = structuredClone(signed.execution);
  LINK_CASES[0]![1](bundle);
  expect(await verdictOf(bundle, unknown)).toMatchObject({ ok: false });
});

function subtleOf(): WebCrypto {
  return {
    importKey: (...args) => subtle.importKey(...args),
    verify: (...args) => subtle.verify(...args),
  };
}

test('an ECDSA signature has one form: every other spelling of its numbers is refused, as Node does', async () => {
  const { publicKey, privateKey } = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }));
  const message = Uint8Array.of(1, 2, 3);
  for (let round = 0; round < 40; round++) {
    const der = new Uint8Array(crypto.sign('sha256', message, privateKey));
    expect(await judged((verifiers) => verifiers.verifyP256(spki, message, der))).toBe(true);
    const longer = Uint8Array.of(0x30, der[1]! + 1, 0x02, der[3]! + 1, 0, ...der.subarray(4));
    const trailing = Uint8Array.of(...der, 0);
    const longForm = Uint8Array.of(0x30, 0x81, der[1]!, ...der.subarray(2));
    const flipped = der.with(der.length - 1 - (round % 20), der.at(-1 - (round % 20))! ^ 1);
    for (const other of [longer, trailing, longForm, flipped, der.subarray(0, -1), new Uint8Array()]) {
      expect(await judged((verifiers) => verifiers.verifyP256(spki, message, other))).toBe(false);
      expect(nodeVerifiers.verifyP256(spki, message, other)).toBe(false);
    }
  }
  const p384 = crypto.generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const other = new Uint8Array(p384.publicKey.export({ format: 'der', type: 'spki' }));
  const der = new Uint8Array(crypto.sign('sha256', message, p384.privateKey));
  expect(await judged((verifiers) => verifiers.verifyP256(other, message, der))).toBe(false);
  expect(await judged((verifiers) => verifiers.verifyEd25519(other, message, der))).toBe(false);
});
