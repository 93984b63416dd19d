import { expect, it } from 'vitest';
import { parseRegion, REGIONS } from './region.ts';

it('knows every region by its own name in any case', () => {
  for (const region of REGIONS) {
    expect(parseRegion(region)).toBe(region);
    expect(parseRegion(` ${region.toLowerCase()} `)).toBe(region);
  }
});

it('knows the names that other layers have used', () => {
  const names = ['US-EAST', 'United States', 'eu-north', 'Europe', 'as', 'ASIA-PACIFIC', 'ap-northeast'];
  expect(names.map(parseRegion)).toEqual(['US', 'US', 'EU', 'EU', 'APAC', 'APAC', 'APAC']);
});

it.each(['', 'mars', 'us-south', '__proto__', 'constructor', 'eu west'])('has no default for %o', (name) => {
  expect(parseRegion(name)).toBeUndefined();
});
