import { beforeAll, describe, expect, it } from 'vitest';
import { signedJob, type SignedJob } from '../../test/support/signed-job.ts';
import { utf8 } from '../encoding.ts';
import { parseBundle, readBundle } from './bundle.ts';
import { verifyBundle, verifyBundleBytes } from './verify.ts';

let signed: SignedJob;
beforeAll(async () => {
  signed = await signedJob();
});

describe('a bundle', () => {
  it('is read from a file, however it is laid out', () => {
    for (const bundle of [signed.execution, signed.job]) {
      expect(parseBundle(utf8(JSON.stringify(bundle, null, 2)))).toEqual(bundle);
    }
    const { spec: _spec, ...withoutSpec } = signed.execution;
    expect(readBundle(withoutSpec)).toEqual(withoutSpec);
  });

  it('is refused with a key that stands twice, which another reader could take the first of', () => {
    const text = JSON.stringify(signed.execution);
    expect(verifyBundleBytes(utf8(text), signed.trust, signed.tools)).toMatchObject({ ok: true });
    const twice = utf8(text.replace('{', '{"spec":"AA==",'));
    expect(verifyBundleBytes(twice, signed.trust, signed.tools)).toMatchObject({ ok: false, link: 'bundle' });
    expect(() => parseBundle(twice)).toThrow(expect.objectContaining({ code: 'bundle_malformed' }));
  });

  it.each([
    ['as a service writes it', (text: string) => text],
    ['with spaces', (text: string) => text.replace('{', '{ ')],
  ])('is refused %s for what strict JSON is not', (_, written) => {
    const text = written(JSON.stringify({ ...signed.execution, spec: '?' }));
    for (const [put, reason] of [
      ['"\\u0000"', /NUL/],
      ['"\\ud800"', /surrogate/],
      ['"\\udfff x"', /surrogate/],
      ['1e999', /range of a double/],
      ['"a","spec":"b"', /twice/],
      [`${'['.repeat(64)}${']'.repeat(64)}`, /nested|not a string/],
      ['['.repeat(200_000), /nested/],
      ['{"__proto__":{}}', /not a string/],
      ['-0', /not a string/],
    ] as const) {
      expect(() => parseBundle(utf8(text.replace('"?"', put))), put.slice(0, 20)).toThrow(reason);
    }
    expect(() => parseBundle(utf8(`\ufeff${text}`))).toThrow(/byte order mark/);
    expect(() => parseBundle(Uint8Array.of(...utf8(text), 0xff))).toThrow(/UTF-8/);
    expect(parseBundle(utf8(text.replace('"?"', '"\\ud83d\\ude00 \\\\u0000"')))).toMatchObject({
      spec: '😀 \\u0000',
    });
  });

  it.each([null, undefined, 1, 'text', [], {}, { media_type: 1 }, { media_type: 'application/json' }])(
    'is not %j',
    (value) => {
      expect(() => readBundle(value)).toThrow(expect.objectContaining({ code: 'bundle_malformed' }));
      expect(verifyBundle(value, signed.trust, signed.tools)).toMatchObject({ ok: false, link: 'bundle' });
    },
  );

  /** Every object of `value` by its path. */
  function* objects(value: unknown, path: string[] = []): Generator<string[]> {
    if (typeof value !== 'object' || value === null) return;
    if (!Array.isArray(value)) yield path;
    for (const [key, member] of Object.entries(value)) yield* objects(member, [...path, key]);
  }
  const at = (bundle: object, path: string[]) =>
    path.reduce<Record<string, unknown>>(
      (target, step) => target[step] as Record<string, unknown>,
      bundle as Record<string, unknown>,
    );

  it('is refused with any member missing, of another type, or too many', () => {
    for (const bundle of [signed.execution, signed.job]) {
      for (const path of objects(bundle)) {
        const changed = (change: (target: Record<string, unknown>) => void) => {
          const copy = structuredClone(bundle);
          change(at(copy, path));
          return () => readBundle(copy);
        };
        const malformed = expect.objectContaining({ code: 'bundle_malformed' });
        expect(changed((target) => (target.more = 1))).toThrow(malformed);
        for (const key of Object.keys(at(bundle, path))) {
          expect(
            changed((target) => (target[key] = 1)),
            `${path.join('.')}.${key}`,
          ).toThrow(malformed);
          if (bundle === signed.execution && key === 'spec') continue;
          expect(
            changed((target) => Reflect.deleteProperty(target, key)),
            `no ${key}`,
          ).toThrow(malformed);
        }
      }
    }
  });
});
