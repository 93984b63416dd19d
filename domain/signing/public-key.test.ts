import { ed25519 } from '@noble/curves/ed25519.js';
import { expect, it } from 'vitest';
import { toBase64 } from '../encoding.ts';
import { SigningError } from './error.ts';
import { decodePublicKey } from './public-key.ts';

it('refuses a key of small order, in every spelling that a point has', () => {
  const field = 2n ** 255n - 19n;
  const refused: (string | undefined)[] = [];
  for (let low = 0n; low < 19n + 2n; low++) {
    // Around 0 and, non-canonically, around the field's prime.
    for (const y of [low, field - 1n + low]) {
      for (const sign of [0, 0x80]) {
        const key = littleEndian(y, sign);
        if (isSmallOrder(key)) refused.push(refusal(key));
      }
    }
  }
  for (const torsion of ed25519Torsion()) refused.push(refusal(torsion));
  expect(refused.length).toBeGreaterThanOrEqual(14);
  expect(new Set(refused)).toEqual(new Set(['small_order']));
});

function refusal(key: Uint8Array): string | undefined {
  try {
    decodePublicKey(toBase64(key));
    return 'taken';
  } catch (error) {
    if (error instanceof SigningError) return error.details.reason;
    throw error;
  }
}

function littleEndian(y: bigint, sign: number): Uint8Array {
  const bytes = Uint8Array.from({ length: 32 }, (_, i) => Number((y >> BigInt(8 * i)) & 0xffn));
  bytes[31] = bytes[31]! | sign;
  return bytes;
}

function isSmallOrder(key: Uint8Array): boolean {
  try {
    return ed25519.Point.fromBytes(key, true).isSmallOrder();
  } catch {
    return false;
  }
}

/** The eight points of small order, as the group's order times a point of full order. */
function ed25519Torsion(): Uint8Array[] {
  const { Point } = ed25519;
  const order = Point.Fn.ORDER;
  for (let y = 2n; ; y++) {
    try {
      const point = Point.fromBytes(littleEndian(y, 0), true);
      // Multiplied by the prime order, only the torsion part is left.
      const torsion = point.multiplyUnsafe(order - 1n).add(point);
      if (torsion.double().double().is0() || torsion.is0()) continue;
      const points = [Point.ZERO];
      for (let i = 1; i < 8; i++) points.push(points[i - 1]!.add(torsion));
      return points.map((one) => one.toBytes());
    } catch {
      continue;
    }
  }
}
