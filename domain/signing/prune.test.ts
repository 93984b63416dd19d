import { describe, expect, it } from 'vitest';
import { testSigner, testSpec, verifyEd25519 } from '../../test/support/job-specs.ts';
import { toBase64, utf8 } from '../encoding.ts';
import { parseJobSpec, type JobSpec } from '../jobspec/spec.ts';
import type { JsonObject } from '../json/node.ts';
import { parseStrictJson } from '../json/parse.ts';
import { canonicalText } from './canonical.ts';
import { verifySpec } from './verify.ts';

const signer = testSigner();
const tree = (value: unknown): JsonObject => parseStrictJson(utf8(JSON.stringify(value))) as JsonObject;

/** `sent` with the signature of a client that signed `signed` as P1. */
function passedOn(sent: object, signed: object): JsonObject {
  const text = canonicalText('P1', tree(signed))!;
  return tree({
    ...sent,
    signature: toBase64(signer.sign(utf8(text))),
    public_key: toBase64(signer.publicKey),
  });
}

describe('the pruned forms', () => {
  const bare = testSpec();
  /** What the client signed lacks these; whoever passed the spec on has added them. */
  const harmless: [string, object][] = [
    [
      'a default of the constraints',
      { constraints: { ...bare.constraints, min_success_rate: 0, provider_timeout: 0 } },
    ],
    [
      'an empty tag',
      { benchmark: { ...bare.benchmark, container: { ...bare.benchmark.container, tag: '' } } },
    ],
    [
      'empty objects within each other',
      { benchmark: { ...bare.benchmark, scoring: { method: '', parameters: {} } } },
    ],
    ['a null', { wallet_auth: null, questions: null }],
  ];
  const harmful: [string, object][] = [
    [
      'of the input',
      {
        benchmark: {
          ...bare.benchmark,
          input: { ...bare.benchmark.input, data: { prompt: 'Who are you? 😀', temperature: 0 } },
        },
      },
    ],
    [
      'of the environment',
      {
        benchmark: { ...bare.benchmark, container: { ...bare.benchmark.container, environment: { A: '' } } },
      },
    ],
    ['that bounds the cost', { constraints: { ...bare.constraints, max_cost: 0 } }],
    ['of the metadata', { metadata: { ...bare.metadata, score: 0 } }],
    ['that Beacon does not know', { extra: null }],
    ['whose key only looks like a path', { benchmark: { ...bare.benchmark, 'container.tag': '' } }],
  ];

  it.each(harmless)('hold where what was added means nothing: %s', (_, added) => {
    const spec = { ...bare, ...added };
    expect(verifySpec(passedOn(spec, bare), verifyEd25519).form).toBe('P1-pruned');
    expect(parseJobSpec(tree(spec))).toEqual(parseJobSpec(tree(bare)));
  });

  it.each(harmful)('do not hold where a member is empty %s', (_, added) => {
    const node = passedOn({ ...bare, ...added }, bare);
    expect(() => verifySpec(node, verifyEd25519)).toThrow(
      expect.objectContaining({ code: 'signature_mismatch' }),
    );
  });

  it('mean the same job as without what they drop, for every nothing at every place', () => {
    const without = meaning(parseJobSpec(tree(minimalSpec())));
    const compared = new Set<string>();
    for (const place of PLACES) {
      for (const key of KEYS) {
        for (const nothing of [null, '', 0, {}]) {
          const spec = minimalSpec();
          const target = at(spec, place);
          if (key in target) continue;
          target[key] = nothing;
          const node = tree(spec);
          if (canonicalText('P1-pruned', node) === undefined) continue;
          const parsed = parsedOrRefused(node);
          if (parsed === undefined) continue;
          expect({ place, key, nothing, spec: meaning(parsed) }).toEqual({
            place,
            key,
            nothing,
            spec: without,
          });
          compared.add(`${place}.${key}`);
        }
      }
    }
    expect(compared.size).toBeGreaterThan(30);
  });
});

const PLACES = [
  ...[
    '',
    'benchmark',
    'benchmark.container',
    'benchmark.container.resources',
    'benchmark.container.environment',
  ],
  ...['benchmark.input', 'benchmark.input.data', 'benchmark.scoring', 'benchmark.scoring.parameters'],
  ...['benchmark.metadata', 'constraints', 'metadata'],
];
const KEYS = (
  'version visibility questions models model runs wallet_auth metadata nonce hash timestamp description tag command ' +
  'environment resources cpu memory gpu type data scoring method parameters min_regions min_success_rate timeout ' +
  'max_cost image provider_timeout providers backends fallback_regions regions jobspec_id unknown name'
).split(' ');

/** Nothing but what a job must have. */
function minimalSpec(): Record<string, unknown> {
  const benchmark = { name: 'n', container: { image: 'busybox' }, input: { hash: 'h' } };
  return { benchmark, constraints: { regions: ['US'] } };
}

/** The object at `place`, made where it is missing. */
function at(spec: Record<string, unknown>, place: string): Record<string, unknown> {
  let target = spec;
  for (const step of place === '' ? [] : place.split('.')) {
    target = (target[step] ??= {}) as Record<string, unknown>;
  }
  return target;
}

/** Undefined for a wrong type, which is refused before any signature is looked at. */
function parsedOrRefused(node: JsonObject): JobSpec | undefined {
  try {
    return parseJobSpec(node);
  } catch {
    return undefined;
  }
}

/** Beacon's own members of the open bag `metadata` are read into members of their own; there nothing is nothing. */
function meaning(spec: JobSpec): JobSpec {
  const own = ['nonce', 'timestamp', 'model', 'models', 'visibility'];
  const rest = Object.entries(spec.metadata).filter(([key]) => !own.includes(key));
  return { ...spec, metadata: Object.fromEntries(rest) };
}
