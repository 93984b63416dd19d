import { createPublicKey } from 'node:crypto';
import { bundleFromJSON } from '@sigstore/bundle';
import { toSignedEntity, toTrustMaterial, Verifier } from '@sigstore/verify';
import { beforeAll, describe, expect, it } from 'vitest';
import { nodeSha256 } from '../../attestation/keys/node-verifiers.ts';
import { signedJob, type SignedJob } from '../../test/support/signed-job.ts';
import { noteKeyHash, parseVkey } from '../log/vkey.ts';
import { sigstoreBundle } from './sigstore-bundle.ts';

let signed: SignedJob;
beforeAll(async () => {
  signed = await signedJob();
});

/** Verifies with Sigstore's own library, given our log and receipt key as its trusted root. */
function judge(bundle: object): void {
  const logKey = parseVkey(signed.trust.vkeys[0]!, nodeSha256);
  const keyId = Buffer.from(noteKeyHash(logKey.name, logKey.publicKey, nodeSha256));
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(logKey.publicKey).toString('base64url') };
  const spki = createPublicKey({ key: jwk, format: 'jwk' }).export({ format: 'der', type: 'spki' });
  const root = {
    mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
    certificateAuthorities: [],
    timestampAuthorities: [],
    ctlogs: [],
    tlogs: [
      {
        baseUrl: `https://${logKey.name}`,
        hashAlgorithm: 1,
        publicKey: { rawBytes: spki, keyDetails: 7, validFor: { start: new Date(0) } },
        logId: { keyId },
        checkpointKeyId: { keyId },
        operator: '',
      },
    ],
  } as unknown as Parameters<typeof toTrustMaterial>[0];
  const trust = toTrustMaterial(root, (hint) => {
    expect(hint).toBe(signed.receiptKey.id);
    const publicKey = createPublicKey({
      key: Buffer.from(signed.receiptKey.spki),
      format: 'der',
      type: 'spki',
    });
    return { publicKey, validFor: () => true };
  });
  const verifier = new Verifier(trust, { tlogThreshold: 1, timestampThreshold: 0, ctlogThreshold: 0 });
  verifier.verify(toSignedEntity(bundleFromJSON(bundle)));
}

const made = (link = signed.job.executions[1]!) =>
  sigstoreBundle(link, parseVkey(signed.trust.vkeys[0]!, nodeSha256), nodeSha256);

describe('a Sigstore bundle of ours', () => {
  it("is accepted by Sigstore's own verifier, for receipts and summaries alike", () => {
    expect(() => judge(made())).not.toThrow();
    expect(() => judge(made({ ...signed.job.summary, receipt: '' }))).not.toThrow();
  });

  it('is refused by it with a changed proof, checkpoint, leaf or signature', () => {
    const [entry] = made().verificationMaterial.tlogEntries;
    const proof = entry!.inclusionProof;
    const withEntry = (change: object) => ({
      ...made(),
      verificationMaterial: { ...made().verificationMaterial, tlogEntries: [{ ...entry, ...change }] },
    });
    const turned = (text: string) => `${text.startsWith('A') ? 'B' : 'A'}${text.slice(1)}`;
    expect(() => judge(withEntry({}))).not.toThrow();
    for (const change of [
      { inclusionProof: { ...proof, hashes: [turned(proof.hashes[0]!), ...proof.hashes.slice(1)] } },
      { inclusionProof: { ...proof, logIndex: '1' } },
      {
        inclusionProof: {
          ...proof,
          checkpoint: { envelope: proof.checkpoint.envelope.replace('\n5\n', '\n6\n') },
        },
      },
      {
        canonicalizedBody: made(signed.job.executions[0]).verificationMaterial.tlogEntries[0]!
          .canonicalizedBody,
      },
    ]) {
      expect(() => judge(withEntry(change)), JSON.stringify(change)).toThrow();
    }
    const { dsseEnvelope } = made();
    const other = made(signed.job.executions[0]).dsseEnvelope;
    expect(() => judge({ ...made(), dsseEnvelope: other })).toThrow();
    expect(() => judge({ ...made(), dsseEnvelope: { ...dsseEnvelope, payload: other.payload } })).toThrow();
  });
});
