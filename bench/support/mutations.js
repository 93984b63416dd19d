/** Bodies that a submit must survive: signed specs changed in their structure, in their bytes, and no specs at all. */
import { randomUUID } from 'node:crypto';
import { parseStrictJson } from '../../dist/domain/json/parse.js';
import { canonicalText } from '../../dist/domain/signing/canonical.js';
import { generateKey, spec } from './specs.js';

/** 2^252 + 27742317777372353535851937790883648493: S + L is another spelling of the same signature. */
const GROUP_ORDER = (1n << 252n) + 27742317777372353535851937790883648493n;
const NASTY_NUMBERS = [
  '1e999',
  '-0',
  '1e-400',
  '9007199254740993',
  '0.1e1',
  '-1',
  '1E400',
  '00',
  '+1',
  '.5',
  '1.',
  '0x10',
  'NaN',
  '1e21',
  '123456789012345678901234567890',
];
const NASTY_TEXTS = [
  '\\u0000',
  '\\ud800',
  '\\udc00\\ud800',
  '\\uD83D\\uDE00',
  '\\/',
  '\\x',
  '\u2028',
  '<&>',
  '\\u003c',
  '\\b\\f',
  '../../etc',
  "'; drop table jobs; --",
  '%00',
  '${7*7}',
  '\u202e',
  '\ufeff',
];
const NASTY_KEYS = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  '',
  'signature',
  'public_key',
  'id',
  'a.b',
  '\ud83d\ude00',
  'length',
];

/**
 * @typedef {{ body: Buffer, kind: string, expected: 'accepted' | 'refused' | 'either' }} Mutated
 */

/**
 * Signed specs and what was made of them; `random` decides everything but keys and ids.
 *
 * @param {ReturnType<import('./random.js').seededRandom>} random
 */
export function createMutator(random) {
  const keys = Array.from({ length: 8 }, generateKey);

  function signed() {
    const unsigned = random.below(4) === 0 ? small() : spec(random.pick([1, 18]));
    const key = random.pick(keys);
    const form = random.pick(['P1', 'P1', 'V0-jcs']);
    const message = canonicalText(form, parseStrictJson(Buffer.from(JSON.stringify(unsigned))));
    return {
      ...unsigned,
      signature: key.sign(Buffer.from(message)).toString('base64'),
      public_key: key.text,
    };
  }

  /** The least that is a job. */
  const small = () => ({
    benchmark: {
      name: 'small',
      container: { image: 'builtin:echo' },
      input: { type: 'prompt', data: { text: randomUUID() }, hash: 'sha256:x' },
    },
    constraints: { regions: [random.pick(['US', 'EU', 'APAC'])] },
    ...(random.below(2) === 0 ? { id: randomUUID() } : {}),
  });

  /** Every place of a value: [holder, key]. */
  function places(value, found = []) {
    if (typeof value !== 'object' || value === null) return found;
    for (const key of Object.keys(value)) {
      found.push([value, key]);
      places(value[key], found);
    }
    return found;
  }

  const anything = (depth = 0) =>
    random.pick([
      () => null,
      () => random.pick([true, false]),
      () => random.below(1e9) - 5e8,
      () => random.next() * 1e300,
      () => '',
      () => 'x'.repeat(random.below(300)),
      () => 'y'.repeat(random.below(40_000)),
      () => String.fromCharCode(...Array.from({ length: 5 }, () => random.below(0xffff))),
      () => (depth > 3 ? [] : Array.from({ length: random.below(5) }, () => anything(depth + 1))),
      () =>
        depth > 3
          ? {}
          : Object.fromEntries(
              Array.from({ length: random.below(5) }, () => [
                random.pick([...NASTY_KEYS, 'name', 'regions']),
                anything(depth + 1),
              ]),
            ),
      () => Array.from({ length: random.below(2_000) }, (_, i) => i),
    ])();

  const text = (value) => JSON.stringify(value);
  const structural = (change) => () => {
    const value = signed();
    change(value);
    return text(value);
  };
  const isUnsigned = (key) => ['id', 'created_at', 'signature', 'public_key'].includes(key);
  /** A place that every form covers. */
  const covered = (value) =>
    random.pick(places(value).filter(([holder, key]) => holder !== value || !isUnsigned(key)));
  const changedBytes = (change) => () => change(Buffer.from(text(signed())));

  /** @type {[kind: string, expected: Mutated['expected'], make: () => string | Buffer][]} */
  const kinds = [
    ['as signed', 'accepted', () => text(signed())],
    [
      'other order and white space',
      'accepted',
      () => JSON.stringify(Object.fromEntries(Object.entries(signed()).reverse()), null, random.below(4)),
    ],
    [
      'covered value replaced',
      'either',
      structural((value) => {
        const [holder, key] = covered(value);
        holder[key] = anything();
      }),
    ],
    [
      'covered text changed',
      'refused',
      structural((value) => {
        value.benchmark.name += random.pick(['x', ' ', '\u0301', '\u200b']);
      }),
    ],
    [
      'covered member removed',
      'either',
      structural((value) => {
        const [holder, key] = covered(value);
        if (Array.isArray(holder)) holder.splice(Number(key), 1);
        else delete holder[key];
      }),
    ],
    [
      'regions changed',
      'refused',
      structural((value) => {
        value.constraints.regions = [...value.constraints.regions, 'ANY'];
      }),
    ],
    [
      'member added',
      'either',
      structural((value) => {
        const [holder] = random.pick(places(value).filter(([found]) => !Array.isArray(found)));
        holder[random.pick([...NASTY_KEYS, 'extra'])] = anything();
      }),
    ],
    [
      'nothing added',
      'either',
      structural((value) => {
        value[random.pick(['visibility', 'models', 'runs', 'questions', 'other'])] = random.pick([
          null,
          '',
          0,
          {},
        ]);
      }),
    ],
    [
      'runs multiplied',
      'refused',
      structural((value) => {
        value.runs = 2 + random.below(1e6);
      }),
    ],
    [
      'id replaced',
      'either',
      structural((value) => {
        value.id = random.pick([randomUUID(), 'a/b', 'x'.repeat(200), '', 5, null, 'ä']);
      }),
    ],
    [
      'created_at replaced',
      'either',
      structural((value) => {
        value.created_at = anything();
      }),
    ],
    [
      'signature removed',
      'refused',
      structural((value) => {
        if (random.below(2)) delete value.signature;
        else value.signature = random.pick(['', null, 0, {}, []]);
      }),
    ],
    [
      'key removed',
      'refused',
      structural((value) => {
        if (random.below(2)) delete value.public_key;
        else value.public_key = random.pick(['', null, 0, {}, []]);
      }),
    ],
    [
      'another key',
      'refused',
      structural((value) => {
        value.public_key = generateKey().text;
      }),
    ],
    [
      'signature of another spec',
      'refused',
      structural((value) => {
        value.signature = signed().signature;
      }),
    ],
    [
      'signature bit turned',
      'refused',
      structural((value) => {
        const bytes = Buffer.from(value.signature, 'base64');
        bytes[random.below(64)] ^= 1 << random.below(8);
        value.signature = bytes.toString('base64');
      }),
    ],
    [
      'key bit turned',
      'refused',
      structural((value) => {
        const bytes = Buffer.from(value.public_key, 'base64');
        bytes[random.below(32)] ^= 1 << random.below(8);
        value.public_key = bytes.toString('base64');
      }),
    ],
    [
      'signature plus group order',
      'refused',
      structural((value) => {
        const bytes = Buffer.from(value.signature, 'base64');
        const s = BigInt(`0x${Buffer.from(bytes.subarray(32)).reverse().toString('hex')}`) + GROUP_ORDER;
        Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse().copy(bytes, 32);
        value.signature = bytes.toString('base64');
      }),
    ],
    [
      'key of small order',
      'refused',
      structural((value) => {
        value.public_key = Buffer.concat([Buffer.from([random.pick([0, 1])]), Buffer.alloc(31)]).toString(
          'base64',
        );
        value.signature = Buffer.concat([Buffer.from([1]), Buffer.alloc(63)]).toString('base64');
      }),
    ],
    [
      'base64 spelled otherwise',
      'refused',
      structural((value) => {
        value.signature = random.pick([
          value.signature.replace(/=+$/, ''),
          value.signature.replaceAll('+', '-').replaceAll('/', '_').replace(/==$/, ''),
          `${value.signature}\n`,
          `${value.signature}AAAA`,
        ]);
      }),
    ],
    [
      'member twice',
      'refused',
      () => {
        const value = text(signed());
        return value.replace('"constraints":', '"constraints":{"regions":["EU"]},"constraints":');
      },
    ],
    [
      'signature twice',
      'refused',
      () => text(signed()).replace('"signature":', '"signature":"x","signature":'),
    ],
    [
      'nasty number',
      'either',
      () =>
        text(signed()).replace(
          '"constraints":{',
          `"constraints":{"min_regions":${random.pick(NASTY_NUMBERS)},`,
        ),
    ],
    [
      'nasty text',
      'either',
      () => text(signed()).replace('"benchmark":{', `"benchmark":{"version":"${random.pick(NASTY_TEXTS)}",`),
    ],
    [
      'nasty key',
      'either',
      () => text(signed()).replace('"benchmark":{', `"benchmark":{"${random.pick(NASTY_TEXTS)}":1,`),
    ],
    [
      'nested deeply',
      'refused',
      () => {
        const depth = random.pick([63, 64, 65, 1_000, 50_000]);
        return text(signed()).replace(
          '"benchmark":{',
          `"benchmark":{"deep":${'['.repeat(depth)}${']'.repeat(depth)},`,
        );
      },
    ],
    [
      'many executions',
      'refused',
      structural((value) => {
        value.questions = Array.from({ length: 200 + random.below(2_000) }, (_, i) => `q${i}`);
      }),
    ],
    [
      'bytes turned',
      'either',
      changedBytes((bytes) => {
        for (let i = 0; i <= random.below(4); i++) bytes[random.below(bytes.length)] = random.below(256);
        return bytes;
      }),
    ],
    ['cut off', 'refused', changedBytes((bytes) => bytes.subarray(0, random.below(bytes.length)))],
    [
      'bytes inserted',
      'either',
      changedBytes((bytes) => {
        const at = random.below(bytes.length);
        return Buffer.concat([bytes.subarray(0, at), random.bytes(1 + random.below(8)), bytes.subarray(at)]);
      }),
    ],
    // Cut within the id, which form P1 does not cover, two specs are one of them under another id.
    [
      'two specs spliced',
      'either',
      () => {
        const [a, b] = [text(signed()), text(signed())];
        return a.slice(0, random.below(a.length)) + b.slice(random.below(b.length));
      },
    ],
    ['two specs', 'refused', () => text(signed()) + text(signed())],
    ['byte order mark', 'refused', () => `\ufeff${text(signed())}`],
    ['UTF-16', 'refused', () => Buffer.from(text(signed()), 'utf16le')],
    ['random JSON', 'refused', () => text(anything()) ?? 'null'],
    ['random bytes', 'refused', () => random.bytes(random.below(2_000))],
    ['nothing', 'refused', () => ''],
    [
      'large',
      'refused',
      () => text({ ...signed(), metadata: { pad: 'z'.repeat(65_536 + random.below(300_000)) } }),
    ],
    ['too large', 'refused', () => Buffer.alloc(1024 * 1024 + 1 + random.below(1_000), 0x20)],
  ];
  /** These cost a hundred times the others. */
  const RARE = new Set(['large', 'too large']);
  const RARITY = 20;

  return {
    kinds: kinds.map(([kind]) => kind),
    /** @returns {Mutated} */
    next() {
      let [kind, expected, make] = random.pick(kinds);
      if (RARE.has(kind) && random.below(RARITY) !== 0) [kind, expected, make] = kinds[0];
      return { kind, expected, body: Buffer.from(make()) };
    },
  };
}
