import { describe, expect, it } from 'vitest';
import { testSpec, type TestSpec } from '../../test/support/job-specs.ts';
import { utf8 } from '../encoding.ts';
import { LIMITS } from '../limits.ts';
import { parseStrictJson } from '../json/parse.ts';
import { JobSpecError } from './error.ts';
import { parseJobSpec, type JobSpec } from './spec.ts';

const parse = (spec: unknown): JobSpec => parseJobSpec(parseStrictJson(utf8(JSON.stringify(spec))));

/** The sample spec with the member at `path` set, or removed when `value` is undefined. */
function changed(path: string, value: unknown): TestSpec {
  const spec = testSpec();
  const steps = path.split('.');
  const last = steps.pop()!;
  let target: Record<string, unknown> = spec;
  for (const step of steps) target = (target[step] ??= {}) as Record<string, unknown>;
  target[last] = value;
  return spec;
}

function refusal(spec: unknown): { field: string; message: string } {
  try {
    parse(spec);
  } catch (error) {
    if (!(error instanceof JobSpecError)) throw error;
    expect(error.code).toBe('validation_error');
    return { field: error.field, message: error.message };
  }
  throw new Error('the spec was taken');
}

describe('a job spec', () => {
  it('gets its defaults', () => {
    const spec = parse({
      benchmark: { name: 'n', container: { image: 'busybox' }, input: { hash: 'h' } },
      constraints: { regions: ['us'] },
    });
    expect(spec).toMatchObject({
      id: undefined,
      version: '1.0',
      visibility: 'public',
      models: [],
      questions: [],
    });
    expect(spec.constraints).toMatchObject({
      regions: ['US'],
      fallbackRegions: [],
      minRegions: 1,
      minSuccessRate: 0.67,
      timeoutMs: 600_000,
      providerTimeoutMs: 300_000,
    });
    expect(spec.constraints.backends).toBeUndefined();
    expect(spec.benchmark).toMatchObject({ description: 'Benchmark: n', scoring: { method: 'default' } });
    expect(spec.benchmark.container).toMatchObject({ image: 'busybox', command: [] });
  });

  it('gets the same defaults for nothing that is written out', () => {
    const zeros = {
      min_regions: 0,
      min_success_rate: 0,
      timeout: 0,
      provider_timeout: 0,
      fallback_regions: null,
    };
    const spec = parse({
      ...testSpec(),
      constraints: { regions: ['US'], ...zeros },
      metadata: null,
      questions: null,
    });
    expect(spec.constraints).toEqual(parse({ ...testSpec(), constraints: { regions: ['US'] } }).constraints);
    expect(parse(changed('constraints.min_regions', -3)).constraints.minRegions).toBe(1);
  });

  it('takes the id, else the other id, else none', () => {
    expect(parse({ ...testSpec(), id: 'a', jobspec_id: 'b' }).id).toBe('a');
    expect(parse({ ...testSpec(), id: '', jobspec_id: 'b' }).id).toBe('b');
    expect(parse({ ...testSpec(), id: undefined }).id).toBeUndefined();
    expect(parse({ ...testSpec(), id: 'a'.repeat(128) }).id).toHaveLength(128);
  });

  it('folds regions by any of their names, each once and in order', () => {
    const regions = ['asia', 'US-EAST', 'European Union', 'usa', 'APAC'];
    expect(parse(changed('constraints.regions', regions)).constraints.regions).toEqual(['APAC', 'US', 'EU']);
    expect(parse(changed('constraints.fallback_regions', ['ca', 'CA'])).constraints.fallbackRegions).toEqual([
      'CA',
    ]);
  });

  it('takes the version of the benchmark where its own says nothing', () => {
    expect(parse(changed('benchmark.version', 'v2')).version).toBe('v2');
    expect(parse({ ...changed('benchmark.version', 'v2'), version: 'v0' }).version).toBe('v0');
  });

  it('tolerates members that it does not know, and matches names exactly', () => {
    const spec = { ...testSpec(), Questions: ['not read'], extra: { deep: [1] } };
    expect(parse(spec)).toEqual(parse(testSpec()));
  });

  it('joins image and tag', () => {
    const image = (name: string, tag: string): string =>
      parse({
        ...testSpec(),
        benchmark: { ...testSpec().benchmark, container: { image: name, tag } },
      }).benchmark.container.image;
    expect(image('alpine', '3.18')).toBe('alpine:3.18');
    expect(image('registry:5000/a/b', 'x')).toBe('registry:5000/a/b:x');
    expect(image('ghcr.io/a/b:latest', '')).toBe('ghcr.io/a/b:latest');
    expect(image('ghcr.io/a/b:latest', 'latest')).toBe('ghcr.io/a/b:latest');
    expect(image('builtin:echo', '')).toBe('builtin:echo');
    expect(image('oci:/var/images/a b', '')).toBe('oci:/var/images/a b');
  });

  it('is private when either place says so', () => {
    expect(parse({ ...testSpec(), visibility: 'private' }).visibility).toBe('private');
    expect(parse({ ...changed('metadata.visibility', 'private'), visibility: 'public' }).visibility).toBe(
      'private',
    );
    expect(parse(changed('metadata.visibility', 'public')).visibility).toBe('public');
  });

  it('reads amounts of CPU and memory', () => {
    const { resources } = parse(changed('benchmark.container.resources', { cpu: '500m', memory: '256Mi' }))
      .benchmark.container;
    expect(resources).toEqual({
      cpu: '500m',
      cpuMillis: 500,
      memory: '256Mi',
      memoryBytes: 268_435_456,
      gpu: undefined,
    });
  });

  it('keeps the filters of providers', () => {
    const filter = { region: 'eu-west', min_score: 0.5, whitelist: ['a'] };
    expect(parse(changed('constraints.providers', [filter])).constraints.providers).toEqual([
      { region: 'EU', minScore: 0.5, maxPrice: undefined, whitelist: ['a'], blacklist: [] },
    ]);
  });
});

describe('models', () => {
  it('come from the models of the spec', () => {
    const models = [{ id: 'm1', regions: ['asia'], container_image: 'ghcr.io/m/1' }, 'm2'];
    expect(parse({ ...changed('metadata.models', ['other']), models }).models).toEqual([
      {
        id: 'm1',
        name: 'm1',
        provider: undefined,
        image: 'ghcr.io/m/1',
        regions: ['APAC'],
        path: 'models[0]',
      },
      {
        id: 'm2',
        name: 'm2',
        provider: 'hybrid',
        image: undefined,
        regions: ['US', 'EU', 'APAC'],
        path: 'models[1]',
      },
    ]);
  });

  it('else from the metadata, where other items are ignored and reported', () => {
    const spec = parse(changed('metadata.models', ['m1', { id: 'm2', name: 'Two' }, 5, {}, '', null]));
    expect(spec.models.map(({ id, name }) => [id, name])).toEqual([
      ['m1', 'm1'],
      ['m2', 'Two'],
    ]);
    expect(spec.ignored).toEqual([2, 3, 4, 5].map((i) => `metadata.models[${i}]`));
    expect(parse(changed('metadata.model', 'm3')).models.map(({ id }) => id)).toEqual(['m3']);
    expect(parse(changed('metadata.models', 'm3')).models).toEqual([]);
  });

  it('count once when written twice alike, and are refused when they differ', () => {
    expect(parse({ ...testSpec(), models: ['m', 'm'] }).models).toHaveLength(1);
    const models = ['m', { id: 'm', container_image: 'other' }];
    expect(refusal({ ...testSpec(), models }).field).toBe('models[1]');
  });
});

describe('questions', () => {
  const bias = { ...changed('benchmark.name', 'Bias-Detection'), version: 'V1' };

  it('are required of a v1 bias job', () => {
    expect(refusal(bias)).toEqual({
      field: 'questions',
      message: 'questions are required for bias-detection v1 jobspec',
    });
    expect(refusal({ ...bias, questions: [] }).message).toMatch(/^questions must be a non-empty array/);
    expect(refusal({ ...bias, version: undefined, ...withBenchmarkVersion('v1') }).field).toBe('questions');
    expect(parse({ ...bias, questions: ['a', 'b'] }).questions).toEqual(['a', 'b']);
    expect(parse({ ...bias, version: 'v2' }).questions).toEqual([]);
  });

  function withBenchmarkVersion(version: string): object {
    return { benchmark: { ...bias.benchmark, version } };
  }
});

describe('a job spec that is refused', () => {
  it.each([
    ['benchmark', undefined, 'benchmark.name', 'benchmark name is required'],
    ['benchmark.name', '', 'benchmark.name', 'benchmark name is required'],
    ['benchmark.container', undefined, 'benchmark.container.image', 'container image is required'],
    ['constraints', undefined, 'constraints.regions', 'at least one region constraint is required'],
    ['constraints.regions', [], 'constraints.regions', 'at least one region constraint is required'],
    ['benchmark.input.hash', '', 'benchmark.input.hash', 'input hash is required for integrity verification'],
  ])('says what the contract says where %s is %o', (path, value, field, message) => {
    expect(refusal(changed(path, value))).toEqual({ field, message });
  });

  it.each([
    ['id', 'has spaces', 'id'],
    ['id', '-dash', 'id'],
    ['id', 'a'.repeat(129), 'id'],
    ['id', 5, 'id'],
    ['version', 1, 'version'],
    ['visibility', 'secret', 'visibility'],
    ['created_at', 'yesterday', 'created_at'],
    ['runs', 1.5, 'runs'],
    ['signature', 7, 'signature'],
    ['wallet_auth', 'x', 'wallet_auth'],
    ['metadata', [], 'metadata'],
    ['metadata.nonce', 12, 'metadata.nonce'],
    ['metadata.nonce', 'é'.repeat(129), 'metadata.nonce'],
    ['questions', ['a', ' '], 'questions[1]'],
    ['questions', [null], 'questions[0]'],
    ['questions', ['x'.repeat(LIMITS.questionBytes + 1)], 'questions[0]'],
    ['models', [5], 'models[0]'],
    ['models', [{ name: 'no id' }], 'models[0].id'],
    ['models', [{ id: 'm', regions: ['MARS'] }], 'models[0].regions[0]'],
    ['models', 'm', 'models'],
    ['constraints.regions', ['US', 'MARS'], 'constraints.regions[1]'],
    ['constraints.regions', ['US', null], 'constraints.regions[1]'],
    ['constraints.regions', 'US', 'constraints.regions'],
    ['constraints.fallback_regions', ['Atlantis'], 'constraints.fallback_regions[0]'],
    ['constraints.min_regions', 4, 'constraints.min_regions'],
    ['constraints.min_regions', 1.5, 'constraints.min_regions'],
    ['constraints.min_success_rate', 1.01, 'constraints.min_success_rate'],
    ['constraints.min_success_rate', -0.1, 'constraints.min_success_rate'],
    ['constraints.min_success_rate', '0.5', 'constraints.min_success_rate'],
    ['constraints.timeout', '10m', 'constraints.timeout'],
    ['constraints.timeout', 600, 'constraints.timeout'],
    ['constraints.timeout', -1e9, 'constraints.timeout'],
    ['constraints.timeout', 1e9 + 0.5, 'constraints.timeout'],
    ['constraints.provider_timeout', 1e17, 'constraints.provider_timeout'],
    ['constraints.max_cost', -1, 'constraints.max_cost'],
    ['constraints.backends', ['no such kind!'], 'constraints.backends[0]'],
    ['constraints.providers', [{ region: 'X' }], 'constraints.providers[0].region'],
    ['constraints.providers', [{ region: 'US', whitelist: [1] }], 'constraints.providers[0].whitelist[0]'],
    ['benchmark.name', 'x'.repeat(LIMITS.specNameBytes + 1), 'benchmark.name'],
    ['benchmark.input.data', 'text', 'benchmark.input.data'],
    ['benchmark.scoring', [], 'benchmark.scoring'],
    ['benchmark.container.image', '--privileged', 'benchmark.container.image'],
    ['benchmark.container.image', 'a b', 'benchmark.container.image'],
    ['benchmark.container.image', 'builtin:../up', 'benchmark.container.image'],
    ['benchmark.container.tag', 'a/b', 'benchmark.container.tag'],
    ['benchmark.container.command', 'sh -c true', 'benchmark.container.command'],
    ['benchmark.container.command', ['sh', 1], 'benchmark.container.command[1]'],
    ['benchmark.container.environment', { A: 1 }, 'benchmark.container.environment["A"]'],
    ['benchmark.container.environment', { 'A=B': '' }, 'benchmark.container.environment["A=B"]'],
    ['benchmark.container.environment', { '': 'x' }, 'benchmark.container.environment[""]'],
    ['benchmark.container.environment', { '1A': 'x' }, 'benchmark.container.environment["1A"]'],
    ['benchmark.container.environment', { 'A B': 'x' }, 'benchmark.container.environment["A B"]'],
    ['benchmark.container.environment', { 'A\n': 'x' }, 'benchmark.container.environment["A\\n"]'],
    ['benchmark.container.environment', { é: 'x' }, 'benchmark.container.environment["é"]'],
    [
      'benchmark.container.environment',
      { 'BASH_FUNC_cat%%': '() { :; }' },
      'benchmark.container.environment["BASH_FUNC_cat%%"]',
    ],
    [
      'benchmark.container.environment',
      { BEACON_INPUT: '/etc/passwd' },
      'benchmark.container.environment["BEACON_INPUT"]',
    ],
    ['benchmark.container.resources', { cpu: 'much' }, 'benchmark.container.resources.cpu'],
    ['benchmark.container.resources', { memory: '1 GiB' }, 'benchmark.container.resources.memory'],
    ['benchmark.container.resources', { cpu: 1 }, 'benchmark.container.resources.cpu'],
  ])('names the field where %s is %o', (path, value, field) => {
    const spec = changed(path, value);
    if (path === 'benchmark.container.tag') spec.benchmark.container.image = 'busybox';
    expect(refusal(spec).field).toBe(field);
  });

  it('says which names of variables there are', () => {
    const named = (name: string): string =>
      refusal(changed('benchmark.container.environment', { [name]: 'x' })).message;
    expect(named('A-B')).toContain('is no name of a variable: a letter or _');
    expect(named('A'.repeat(129))).toContain('at most 128');
    expect(named('BEACON_')).toContain('cannot be set by a job');
    const taken = { ['_' + 'A1'.repeat(63) + 'b']: '', beacon_x: '', BEACON: '' };
    expect({
      ...parse(changed('benchmark.container.environment', taken)).benchmark.container.environment,
    }).toEqual(taken);
  });

  it('says that a time-out is in nanoseconds', () => {
    expect(refusal(changed('constraints.timeout', '10m')).message).toContain('nanoseconds');
    expect(parse(changed('constraints.timeout', 1_500_001)).constraints.timeoutMs).toBe(2);
  });

  it('says which region it does not know, and which it does', () => {
    expect(refusal(changed('constraints.regions', ['MARS'])).message).toMatch(/"MARS".*US, EU, APAC/);
  });

  it.each([
    ['alpine:3', '4'],
    [`alpine@sha256:${'0'.repeat(64)}`, 'latest'],
    ['builtin:echo', 'latest'],
  ])('does not join %s and %s', (image, tag) => {
    const container = { image, tag };
    expect(refusal({ ...testSpec(), benchmark: { ...testSpec().benchmark, container } }).field).toBe(
      'benchmark.container.tag',
    );
  });

  it.each([[[]], [null], ['text'], [5]])('is no object: %o', (spec) => {
    expect(refusal(spec).message).toContain('JSON object');
  });
});
