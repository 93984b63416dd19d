import { createPublicKey } from 'node:crypto';
import { expect, it } from 'vitest';
import { generateLogKey } from '../../attestation/keys/log-key.ts';
import { nodeSha256 } from '../../attestation/keys/node-verifiers.ts';
import { noteKeyHash } from '../log/vkey.ts';
import { trustedRoot } from './trusted-root.ts';

it('a trusted root names every key of the log, and nobody else', () => {
  const keys = ['log.test/a', 'log.test/b'].map((name) => generateLogKey().signerFor(name));
  const root = trustedRoot(keys, nodeSha256);
  expect(root).toMatchObject({
    mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
    certificateAuthorities: [],
    ctlogs: [],
    timestampAuthorities: [],
  });
  expect(root.tlogs).toHaveLength(2);
  for (const [index, log] of root.tlogs.entries()) {
    const { name, publicKey } = keys[index]!;
    const keyId = Buffer.from(noteKeyHash(name, publicKey, nodeSha256)).toString('base64');
    expect(log).toEqual({
      baseUrl: `https://${name}`,
      hashAlgorithm: 'SHA2_256',
      publicKey: {
        rawBytes: expect.any(String) as string,
        keyDetails: 'PKIX_ED25519',
        validFor: { start: '1970-01-01T00:00:00Z' },
      },
      logId: { keyId },
      checkpointKeyId: { keyId },
    });
    const spki = createPublicKey({
      key: Buffer.from(log.publicKey.rawBytes, 'base64'),
      format: 'der',
      type: 'spki',
    });
    expect(spki.export({ format: 'jwk' }).x).toBe(Buffer.from(publicKey).toString('base64url'));
  }
});
