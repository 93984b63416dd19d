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

test('a check runs a few times, however many texts a signature is tried over, and keys are imported once for all', async () => {
  let [runs, imports, verified] = [0, 0, 0];
  const counting: WebCrypto = {
    importKey: (...args) => {
      imports++;
      return subtle.importKey(...args);
    },
    verify: (...args) => {
      verified++;
      return subtle.verify(...args);
    },
  };
  const verdict = await withWebCrypto(
    (verifiers) => {
      runs++;
      return verifyBundle(signed.job, signed.trust, { verifiers, verifySpec: specVerifier(verifiers) });
    },
    counting,
    portableVerifiers,
  );
  // Signed over one of the last texts that are tried, which no receipt agrees with until it is found.
  expect(verdict).toMatchObject({ ok: true, specForm: 'V0' });
  expect(runs).toBeLessThanOrEqual(4);
  expect(imports).toBeLessThan(verified);
});

test('a hash that is asked again of other bytes is computed again', async () => {
  const bytes = Uint8Array.of(1);
  const seen: string[] = [];
  await judged((verifiers) => {
    bytes[0]!++;
    seen.push(Buffer.from(verifiers.sha256(bytes)).toString('hex'));
    return verifiers.verifyEd25519(new Uint8Array(32), bytes, new Uint8Array(64)) && seen.length < 3;
  });
  const hashes = seen.map((_, i) =>
    crypto
      .createHash('sha256')
      .update(Uint8Array.of(i + 2))
      .digest('hex'),
  );
  expect(seen).toEqual(hashes);
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
