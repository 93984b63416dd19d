import fc from 'fast-check';
import { CID } from 'multiformats/cid';
import * as raw from 'multiformats/codecs/raw';
import { sha256 } from 'multiformats/hashes/sha2';
import { describe, expect, it } from 'vitest';
import { nodeSha256 } from '../../attestation/keys/node-verifiers.ts';
import { toHex } from '../encoding.ts';
import { cidOfDigest, digestOfCid, isCid } from './cid.ts';

describe('content addresses', () => {
  it('are those of multiformats, and hold the hash of the bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        const cid = cidOfDigest(nodeSha256(bytes));
        expect(cid).toBe(CID.createV1(raw.code, await sha256.digest(bytes)).toString());
        expect(toHex(digestOfCid(cid))).toBe(toHex(nodeSha256(bytes)));
      }),
    );
  });

  it('are refused in any other form', () => {
    const cid = cidOfDigest(nodeSha256(new Uint8Array()));
    expect(isCid(cid)).toBe(true);
    const others = [
      cid.toUpperCase(),
      cid.slice(0, -1),
      `${cid}a`,
      ` ${cid}`,
      'QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n',
      CID.parse(cid).toV1().toString().replace('bafkrei', 'bafybei'),
      // The last character carries bits beyond the digest, which must be zero.
      cid.slice(0, -1) + String.fromCharCode(cid.charCodeAt(cid.length - 1) + 1),
    ];
    const malformed: unknown = expect.objectContaining({ name: 'ReceiptError', code: 'cid_malformed' });
    for (const other of others) {
      expect(isCid(other), other).toBe(false);
      expect(() => digestOfCid(other), other).toThrow(malformed);
    }
    expect(() => cidOfDigest(new Uint8Array(31))).toThrow(malformed);
  });
});
