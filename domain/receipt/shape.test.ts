import { describe, expect, it } from 'vitest';
import {
  amount,
  anything,
  count,
  decimal,
  exact,
  flag,
  list,
  nullable,
  object,
  oneOf,
  optional,
  record,
  sha256Hex,
  text,
  time,
  type Shape,
} from './shape.ts';

const HEX = 'ab'.repeat(32);
const pair = { name: text, size: optional(count) };

/** What each takes, and what it refuses with the path that its message begins with. */
const CASES: [string, Shape<unknown>, taken: unknown[], refused: [unknown, message: string][]][] = [
  ['text', text, ['', 'a'], [[1, 'at is not a string']]],
  [
    'flag',
    flag,
    [true, false],
    [
      [0, 'at is not a boolean'],
      ['true', 'at is not a boolean'],
    ],
  ],
  [
    'count',
    count,
    [0, 1, Number.MAX_SAFE_INTEGER],
    [-1, 0.5, Number.MAX_SAFE_INTEGER + 1, '1', null].map((value) => [value, 'at is not a whole number']),
  ],
  [
    'amount',
    amount,
    [-1.5, 0],
    [
      [Infinity, 'at is not a number'],
      ['1', 'at is not a number'],
    ],
  ],
  ['anything', anything, [null, {}, 1, undefined], []],
  [
    'decimal',
    decimal,
    [`0.${'0'.repeat(18)}`, `10.${'1'.repeat(18)}`, `12345678901234567890.${'9'.repeat(18)}`],
    [
      `00.${'0'.repeat(18)}`,
      `-1.${'0'.repeat(18)}`,
      ` 1.${'0'.repeat(18)}`,
      `1.${'0'.repeat(17)}`,
      `1.${'0'.repeat(19)}`,
      `1.${'a'.repeat(18)}`,
      `1a.${'0'.repeat(18)}`,
      `123456789012345678901.${'0'.repeat(18)}`,
      '1',
      1,
      [`1.${'0'.repeat(18)}`],
    ].map((value) => [value, 'at is not a decimal with 18 digits']),
  ],
  [
    'sha256Hex',
    sha256Hex,
    [HEX],
    [HEX.slice(2), `${HEX}ab`, `${HEX.slice(1)}g`, HEX.toUpperCase(), 'ab'.split(''), 64].map((value) => [
      value,
      'at is not a SHA-256 in hex',
    ]),
  ],
  [
    'time',
    time,
    ['2026-01-02T03:04:05Z', '2026-01-02T03:04:05.6Z', '2026-01-02T03:04:05.678901Z'],
    [
      '2026-01-02T03:04:05',
      '2026-01-02T03:04:05.Z',
      '2026-01-02T03:04:05+00:00',
      '2026-01-02 03:04:05Z',
      ' 2026-01-02T03:04:05Z',
      '2026-01-02T03:04:05Z ',
      ['2026-01-02T03:04:05Z'],
      1,
    ].map((value) => [value, 'at is not an RFC 3339 time']),
  ],
  ['oneOf', oneOf('a', 'b'), ['a', 'b'], [['c', 'at is not one of a, b']]],
  ['nullable', nullable(text), [null, 'a'], [[1, 'at is not a string']]],
  [
    'list',
    list(text),
    [[], ['a', 'b']],
    [
      [{ length: 0 }, 'at is not a list'],
      ['a', 'at is not a list'],
      [['a', 1], 'at[1] is not a string'],
    ],
  ],
  [
    'record',
    record(count),
    [{}, { a: 1, b: 2 }],
    [
      [[], 'at is not an object'],
      [null, 'at is not an object'],
      ['a', 'at is not an object'],
      [{ a: 1, b: 'b' }, 'at.b is not a whole number'],
    ],
  ],
  [
    'object',
    object(pair),
    [{ name: 'a' }, { name: 'a', size: 1 }, { name: 'a', size: undefined }, { name: 'a', later: 1 }],
    [
      [[], 'at is not an object'],
      [null, 'at is not an object'],
      ['a', 'at is not an object'],
      [{}, 'at.name is not there'],
      [{ name: undefined }, 'at.name is not there'],
      [Object.create({ name: 'inherited' }), 'at.name is not there'],
      [{ name: 'a', size: null }, 'at.size is not a whole number'],
    ],
  ],
  [
    'exact',
    exact(pair),
    [{ name: 'a' }, { name: 'a', size: 1 }],
    [
      [{}, 'at.name is not there'],
      [{ name: 'a', later: 1 }, 'at.later is not known'],
      [{ name: 'a', toString: 1 }, 'at.toString is not known'],
    ],
  ],
];

describe.each(CASES)('%s', (_name, shape, taken, refused) => {
  it('gives what it takes as it is', () => {
    for (const value of taken) expect(shape.read(value, 'at')).toEqual(value);
  });

  it('names the place of what it refuses', () => {
    for (const [value, message] of refused) {
      expect(() => shape.read(value, 'at'), message).toThrow(
        expect.objectContaining({ code: 'document_malformed', message }),
      );
    }
  });
});

it.each<[Shape<unknown>, unknown, string]>([
  [text, 1, 'the value is not a string'],
  [object(pair), {}, 'name is not there'],
  [object(pair), { name: 1 }, 'name is not a string'],
  [exact(pair), { name: 'a', later: 1 }, 'later is not known'],
])('a whole document is named by its members alone: %#', (shape, value, message) => {
  expect(() => shape.read(value, '')).toThrow(expect.objectContaining({ message }));
});
