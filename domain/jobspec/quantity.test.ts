import { expect, it } from 'vitest';
import { parseCpu, parseMemory } from './quantity.ts';

it.each([
  ['500m', 500],
  ['1', 1_000],
  ['1000m', 1_000],
  ['0.5', 500],
  ['1.005', 1_005],
  ['64', 64_000],
])('reads %s of CPU as %d thousandths', (text, millis) => {
  expect(parseCpu(text)).toBe(millis);
});

it.each(['', '0', '0m', '-1', '1 ', '.5', '1.', '1.0005', '1e3', '500M', '1,5', '１'])(
  'reads no CPU in %o',
  (text) => {
    expect(parseCpu(text)).toBeUndefined();
  },
);

it.each([
  ['256Mi', 268_435_456],
  ['1Gi', 1_073_741_824],
  ['512M', 512_000_000],
  ['64Ki', 65_536],
  ['1048576', 1_048_576],
  ['2G', 2_000_000_000],
])('reads %s of memory as %d bytes', (text, bytes) => {
  expect(parseMemory(text)).toBe(bytes);
});

it.each(['', '0', '0Mi', '-1Mi', '1.5Gi', '1 Gi', '1GB', 'Mi', '999999999999999Ti', '0x10'])(
  'reads no memory in %o',
  (text) => {
    expect(parseMemory(text)).toBeUndefined();
  },
);
