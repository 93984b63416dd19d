import { describe, expect, it } from 'vitest';
import { generateLogKey } from '../../attestation/keys/log-key.ts';
import { nodeSha256, nodeVerifiers } from '../../attestation/keys/node-verifiers.ts';
import { fromBase64, toBase64 } from '../encoding.ts';
import { checkpointText } from './checkpoint.ts';
import {
  cosign,
  cosignerKey,
  formatCosignerVkey,
  parseCosignerVkey,
  verifyCosignature,
  type CosignatureSigner,
} from './cosignature.ts';
import { formatVkey, noteKey } from './vkey.ts';

const TIME = 1_770_000_000;
const text = checkpointText({ origin: 'example.com/log', size: 7, root: new Uint8Array(32).fill(7) });
const keyPair = generateLogKey();
const key = cosignerKey('witness.example/w1', keyPair.publicKey, nodeSha256);
const signer: CosignatureSigner = { ...key, sign: keyPair.sign };
const verify = (line: string, of = text) => verifyCosignature(of, line.trimEnd(), [key], nodeVerifiers);

describe('a cosignature', () => {
  it('says who saw a checkpoint and when', async () => {
    expect(verify(await cosign(text, TIME, signer))).toEqual({ key, timeS: TIME });
  });

  it('holds for that checkpoint, time and signature only', async () => {
    const line = await cosign(text, TIME, signer);
    expect(() => verify(line, text.replace('\n7\n', '\n8\n'))).toThrow('does not hold');
    const [dash, name, encoded] = line.trimEnd().split(' ');
    const bytes = fromBase64(encoded!)!;
    for (let at = 4; at < bytes.length; at += 1) {
      const altered = bytes.slice();
      altered[at]! ^= 1;
      expect(() => verify(`${dash} ${name} ${toBase64(altered)}`)).toThrow('does not hold');
    }
    expect(() => verify(`${dash} ${name} ${toBase64(bytes.slice(0, -1))}`)).toThrow('does not hold');
  });

  it('of somebody else is ignored', async () => {
    const other = generateLogKey();
    const line = await cosign(text, TIME, {
      ...cosignerKey(key.name, other.publicKey, nodeSha256),
      sign: other.sign,
    });
    expect(verify(line)).toBeUndefined();
  });
});

describe("a cosigner's verifier key", () => {
  it('is read back as it was written', () => {
    expect(parseCosignerVkey(formatCosignerVkey(key), nodeSha256)).toEqual(key);
  });

  it('is not that of a log with the same name and key, whose id differs too', () => {
    const log = noteKey(key.name, key.publicKey, nodeSha256);
    expect(log.id).not.toEqual(key.id);
    expect(() => parseCosignerVkey(formatVkey(log), nodeSha256)).toThrow('not an Ed25519 cosigner key');
  });

  it('of which a character was changed is refused', () => {
    const vkey = formatCosignerVkey(key);
    for (const altered of [vkey.replace('w1', 'w2'), vkey.slice(0, -4), `${vkey}AAAA`, 'x', ''])
      expect(() => parseCosignerVkey(altered, nodeSha256)).toThrow();
  });
});
