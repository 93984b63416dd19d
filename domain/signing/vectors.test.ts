import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { verifyEd25519 } from '../../test/support/job-specs.ts';
import { fromBase64, utf8 } from '../encoding.ts';
import { expandPlan } from '../jobspec/expand.ts';
import { parseJobSpec } from '../jobspec/spec.ts';
import type { JsonObject } from '../json/node.ts';
import { parseStrictJson } from '../json/parse.ts';
import { canonicalText, FORMS, type Form } from './canonical.ts';
import { verifySpec } from './verify.ts';

/** Signed by earlier clients; sizes and hashes were measured outside this code (test/vectors/README.md). */
const VECTORS: [file: string, form: Form, bytes: number, sha256: string, executions: number][] = [
  ['job-002.json', 'G0', 541, '8922f39c70df497e02c52346cbc1d5508b991d775d3392a4d0413f5b89091338', 1],
  ['minimal.jobspec', 'G1', 946, '9234d2fb967cc1eb042d45b241d46b45b0423531b1949f232637cfe1c45a523f', 3],
  ['day1-live-job', 'V0', 785, '80428faa7af3c8800bfb7ea1df251226fd82cc017f05116d14ce9eaa3e9812e3', 1],
  [
    '3-model-verification-job',
    'G2',
    1045,
    '66745c113ee3e015ef467f00918df4988817b72a64aad0bb9f91f46cc31a668e',
    27,
  ],
];

function read(file: string): JsonObject {
  const bytes = readFileSync(new URL(`../../test/vectors/${file}.signed.json`, import.meta.url));
  return parseStrictJson(bytes) as JsonObject;
}

describe.each(VECTORS)('the public job spec %s', (file, form, bytes, sha256, executions) => {
  const spec = read(file);
  const key = fromBase64(spec.get('public_key') as string)!;
  const signature = fromBase64(spec.get('signature') as string)!;

  it(`verifies as ${form} over the bytes that were measured`, () => {
    const verified = verifySpec(spec, verifyEd25519);
    expect(verified.form).toBe(form);
    expect(verified.publicKey).toBe(spec.get('public_key'));
    expect(verified.message).toHaveLength(bytes);
    expect(createHash('sha256').update(verified.message).digest('hex')).toBe(sha256);
  });

  it('verifies under no other form', () => {
    const holding = FORMS.filter((one) => {
      const text = canonicalText(one, spec);
      return text !== undefined && verifyEd25519(key, utf8(text), signature);
    });
    expect(holding).toEqual([form]);
  });

  it('does not verify with any byte of the message changed', () => {
    const { message } = verifySpec(spec, verifyEd25519);
    const holding = [...message.keys()].filter((at) => {
      const changed = message.slice();
      changed[at] = changed[at]! ^ 1;
      return verifyEd25519(key, changed, signature);
    });
    expect(holding).toEqual([]);
  });

  it('is a job that can be planned', () => {
    const settings = { backends: { '*': ['local'] }, deadlineMs: 1, maxParallel: 1, attemptsPerRegion: 1 };
    expect(expandPlan(parseJobSpec(spec), settings).executions).toHaveLength(executions);
  });

  it('leaves the tree as it was received', () => {
    const before = canonicalText('G0', spec);
    verifySpec(spec, verifyEd25519);
    expect(canonicalText('G0', spec)).toBe(before);
  });
});
