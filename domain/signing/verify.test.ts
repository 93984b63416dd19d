import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonObject, jsonValue, testSigner, testSpec, verifyEd25519 } from '../../test/support/job-specs.ts';
import { toBase64, utf8 } from '../encoding.ts';
import type { JsonNode, JsonObject } from '../json/node.ts';
import { parseStrictJson } from '../json/parse.ts';
import { candidateTexts, canonicalText, FORMS, type Form } from './canonical.ts';
import { SigningError } from './error.ts';
import { signSpec } from './sign.ts';
import { verifySpec, verifySpecAsync } from './verify.ts';

const signer = testSigner();
const tree = (value: unknown): JsonNode => parseStrictJson(utf8(JSON.stringify(value)));

/** `spec` as a client of `form` would have signed and sent it. */
function signedAs(form: Form, spec: object): Record<string, unknown> {
  const names = { signature: '', public_key: '' };
  const text = canonicalText(form, tree({ ...spec, ...names }) as JsonObject)!;
  return { ...spec, signature: toBase64(signer.sign(utf8(text))), public_key: toBase64(signer.publicKey) };
}

function refusal(spec: unknown): SigningError {
  try {
    verifySpec(tree(spec), verifyEd25519);
  } catch (error) {
    if (error instanceof SigningError) return error;
    throw error;
  }
  throw new Error('the signature was taken');
}

describe('verifying a job spec', () => {
  it('takes what our signer signed, whatever JSON it is', () => {
    fc.assert(
      fc.property(jsonObject, (spec) => {
        const verified = verifySpec(tree(signSpec(spec, signer)), verifyEd25519);
        expect(verified.publicKey).toBe(toBase64(signer.publicKey));
      }),
      { numRuns: 60 },
    );
  });

  it('does not depend on white space or the order of members', () => {
    fc.assert(
      fc.property(jsonObject, fc.constantFrom(0, 2, '\t'), (spec, space) => {
        const signed = signSpec(spec, signer);
        const shuffled = reversed(JSON.parse(JSON.stringify(signed)));
        const node = parseStrictJson(utf8(JSON.stringify(shuffled, null, space)));
        expect(verifySpec(node, verifyEd25519).message).toEqual(
          verifySpec(tree(signed), verifyEd25519).message,
        );
      }),
      { numRuns: 40 },
    );
  });

  it('takes no spec with any member added, changed or removed', () => {
    const signed = signSpec(testSpec(), signer);
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(signed), 'new'), jsonValue, (key, value) => {
        fc.pre(JSON.stringify(signed[key]) !== JSON.stringify(value));
        expect(() => verifySpec(tree({ ...signed, [key]: value }), verifyEd25519)).toThrow(SigningError);
      }),
      { numRuns: 60 },
    );
    for (const key of Object.keys(signed)) {
      const { [key]: _, ...rest } = signed;
      expect(() => verifySpec(tree(rest), verifyEd25519)).toThrow(SigningError);
    }
  });

  it('recognises each form and reports the first that holds', () => {
    const spec = { ...testSpec(), zeta: '<', alpha: { '\ufb33': 1, '😀': -0.5 } };
    const emptied = { ...spec, visibility: '' };
    for (const form of FORMS) {
      const node = tree(signedAs(form, form.startsWith('P1-pruned') ? emptied : spec));
      expect(verifySpec(node, verifyEd25519).form).toBe(form);
    }
  });

  it('gives the same answer whatever form is tried first, and tries one text where it is the right one', () => {
    const spec = { ...testSpec(), zeta: '<', alpha: { '\ufb33': 1, '😀': -0.5 } };
    const emptied = { ...spec, visibility: '' };
    for (const form of FORMS) {
      const signed = signedAs(form, form.startsWith('P1-pruned') ? emptied : spec);
      const altered = tree({ ...signed, zeta: '>' });
      for (const likely of [...FORMS, 'no form']) {
        const tried: unknown[] = [];
        const counting: typeof verifyEd25519 = (key, message, signature) => {
          tried.push(message);
          return verifyEd25519(key, message, signature);
        };
        expect(verifySpec(tree(signed), counting, likely)).toEqual(verifySpec(tree(signed), verifyEd25519));
        if (likely === form) expect(tried).toHaveLength(1);
        expect(() => verifySpec(altered, verifyEd25519, likely)).toThrow('signature verification failed');
      }
    }
  });

  it('reports the first of several forms with the same text, whichever is tried first', () => {
    const bare = tree(signSpec({ x: 'no html' }, signer));
    for (const likely of [...FORMS, undefined])
      expect(verifySpec(bare, verifyEd25519, likely).form).toBe('P1');
  });

  it('reports our own signatures as V0-jcs, or as V0 where the bytes are the same', () => {
    expect(verifySpec(tree(signSpec(testSpec(), signer)), verifyEd25519).form).toBe('V0-jcs');
    const plain = { id: 'a', created_at: '2026-01-01T00:00:00Z', x: 'no html' };
    expect(verifySpec(tree(signSpec(plain, signer)), verifyEd25519).form).toBe('V0');
  });

  it('covers the id with our own signature, and not with P1', () => {
    expect(refusal({ ...signSpec(testSpec(), signer), id: 'other' }).code).toBe('signature_mismatch');
    const other = { ...signedAs('P1', testSpec()), id: 'other', created_at: '2030-01-01T00:00:00Z' };
    expect(verifySpec(tree(other), verifyEd25519).form).toBe('P1');
  });

  it('blanks and removes top-level members only', () => {
    const spec = { ...testSpec(), metadata: { signature: 'inner', public_key: 'inner', id: 'inner' } };
    for (const form of FORMS) {
      const changed = { ...spec, metadata: { ...spec.metadata, signature: 'changed' } };
      expect(refusal({ ...signedAs(form, spec), metadata: changed.metadata }).code).toBe(
        'signature_mismatch',
      );
    }
  });

  it('tries at most nine messages, each once', () => {
    const spec = tree({ ...testSpec(), visibility: '', signature: 'x', public_key: 'y' }) as JsonObject;
    const texts = [...candidateTexts(spec)].map(({ text }) => text);
    expect(texts).toHaveLength(new Set(texts).size);
    expect(texts.length).toBeLessThanOrEqual(9);
    let calls = 0;
    const none = (): boolean => ++calls < 0;
    expect(() => verifySpec(tree(signSpec(testSpec(), signer)), none)).toThrow(
      'signature verification failed',
    );
    expect(calls).toBeLessThanOrEqual(9);
  });
});

describe('verifying without holding the caller up', () => {
  const elsewhere = (...asked: Parameters<typeof verifyEd25519>) => Promise.resolve(verifyEd25519(...asked));

  it.each(FORMS)('answers as the other for %s', async (form) => {
    const node = tree(signedAs(form, testSpec()));
    expect(await verifySpecAsync(node, elsewhere)).toEqual(verifySpec(node, verifyEd25519));
  });

  it('rejects what the other refuses', async () => {
    const node = tree({ ...signSpec(testSpec(), signer), version: '9' });
    await expect(verifySpecAsync(node, elsewhere)).rejects.toMatchObject({ code: 'signature_mismatch' });
    await expect(verifySpecAsync('no object', elsewhere)).rejects.toThrow(SigningError);
  });
});

describe('what is refused before any verification', () => {
  const signed = signSpec(testSpec(), signer);

  it.each([
    ['no signature', { signature: undefined }, 'missing_field:signature'],
    ['an empty signature', { signature: '' }, 'missing_field:signature'],
    ['neither of the two', { signature: undefined, public_key: undefined }, 'missing_field:signature'],
    ['no key', { public_key: undefined }, 'missing_field:public_key'],
    ['a key that is null', { public_key: null }, 'missing_field:public_key'],
    [
      'a key without padding',
      { public_key: (signed.public_key as string).slice(0, -1) },
      'invalid_encoding:public_key',
    ],
    ['a key in the URL alphabet', { public_key: `${'-'.repeat(43)}=` }, 'invalid_encoding:public_key'],
    [
      'a key of 33 bytes',
      { public_key: toBase64(new Uint8Array(33).fill(9)) },
      'invalid_encoding:public_key',
    ],
    [
      'a key with a line break',
      { public_key: `${signed.public_key as string}\n` },
      'invalid_encoding:public_key',
    ],
    ['bits beyond the last byte', { public_key: `${'A'.repeat(42)}B=` }, 'invalid_encoding:public_key'],
    ['a signature of 63 bytes', { signature: toBase64(new Uint8Array(63)) }, 'invalid_encoding:public_key'],
    ['a changed signature', { signature: toBase64(new Uint8Array(64).fill(1)) }, 'signature_mismatch'],
    ['another key', { public_key: toBase64(testSigner().publicKey) }, 'signature_mismatch'],
  ])('%s', (_, change, code) => {
    expect(refusal({ ...signed, ...change }).code).toBe(code);
  });

  it('anything but an object', () => {
    expect(refusal([signed]).code).toBe('canonicalization_error');
  });

  it('says which of the two fields is badly encoded', () => {
    expect(refusal({ ...signed, signature: 'AAAA' }).details).toEqual({ field: 'signature', reason: 'size' });
    expect(refusal({ ...signed, public_key: 'é' }).details).toEqual({
      field: 'public_key',
      reason: 'base64',
    });
  });
});

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, member]) => [key, reversed(member)]),
  );
}
