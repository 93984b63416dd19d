import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LogError } from './error.ts';
import { decodeEntryBundle, encodeEntryBundle, parseTilePath, tileExists, tilePath } from './tile.ts';

describe('tile paths', () => {
  it.each([
    ['tile/0/000', { level: 0, index: 0, width: 256 }],
    ['tile/1/x001/x234/067', { level: 1, index: 1_234_067, width: 256 }],
    ['tile/0/x001/000.p/5', { level: 0, index: 1_000, width: 5 }],
    ['tile/entries/123.p/255', { level: 'entries' as const, index: 123, width: 255 }],
  ])('reads and writes %s', (path, tile) => {
    expect(parseTilePath(path)).toEqual(tile);
    expect(tilePath(tile)).toBe(path);
  });

  it('come back for every tile', () => {
    const tiles = fc.record({
      level: fc.oneof(fc.nat(6), fc.constant('entries' as const)),
      index: fc.maxSafeNat(),
      width: fc.integer({ min: 1, max: 256 }),
    });
    fc.assert(
      fc.property(tiles, (tile) => {
        expect(parseTilePath(tilePath(tile))).toEqual(tile);
      }),
    );
  });

  it.each([
    'tile/0/0',
    'tile/0/x000/001',
    'tile/0/001.p/0',
    'tile/0/001.p/256',
    'tile/0/001.p/05',
    'tile/64/000',
    'tile/00/000',
    'tile/0/001/002',
    'tile/0/x001',
    'tile/0/x999/x999/x999/x999/x999/999',
    '/tile/0/000',
    'tile/8/0/000',
    'tile/0/000\n',
  ])('refuses %j', (path) => {
    expect(parseTilePath(path)).toBeUndefined();
  });

  it('exist once full, and at every width that some checkpoint could have had', () => {
    const served = (path: string, size: number) => tileExists(parseTilePath(path)!, size);
    expect(served('tile/0/000', 255)).toBe(false);
    expect(served('tile/0/000', 256)).toBe(true);
    expect(served('tile/0/000.p/12', 300)).toBe(true);
    expect(served('tile/0/001.p/44', 300)).toBe(true);
    expect(served('tile/0/001.p/45', 300)).toBe(false);
    expect(served('tile/1/000.p/1', 255)).toBe(false);
    expect(served('tile/1/000.p/1', 256)).toBe(true);
    expect(served('tile/entries/001.p/44', 300)).toBe(true);
    expect(served('tile/entries/001.p/45', 300)).toBe(false);
  });
});

describe('entry bundles', () => {
  it('come back for all entries', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 256 }), (entries) => {
        expect(decodeEntryBundle(encodeEntryBundle(entries))).toEqual(entries);
      }),
    );
  });

  it('refuse a cut, too long or overfull bundle', () => {
    const bundle = encodeEntryBundle([Uint8Array.of(1, 2, 3)]);
    expect(() => decodeEntryBundle(bundle.subarray(0, 4))).toThrow(LogError);
    expect(() => decodeEntryBundle(Uint8Array.of(0))).toThrow(LogError);
    expect(() => encodeEntryBundle([new Uint8Array(65_536)])).toThrow(LogError);
    expect(() => decodeEntryBundle(new Uint8Array(2 * 257))).toThrow(LogError);
  });
});
