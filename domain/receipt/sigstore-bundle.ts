import type { Sha256 } from '../crypto.ts';
import { toBase64, utf8 } from '../encoding.ts';
import { parseCheckpoint } from '../log/checkpoint.ts';
import { parseNote } from '../log/note.ts';
import { parseTlogProof } from '../log/tlog-proof.ts';
import { noteKeyHash, type NoteKey } from '../log/vkey.ts';
import type { LogLink } from './bundle.ts';
import { parseEnvelope } from './dsse.ts';

/**
 * The same proof as a Sigstore bundle v0.3, for stock `cosign` and `@sigstore/verify` with a trusted root that names our
 * log (docs/receipt.md). Those tools trust the receipt key that they are given.
 */
export function sigstoreBundle(link: LogLink, logKey: NoteKey, sha256: Sha256) {
  const { payload, payloadType, keyId, signature } = parseEnvelope(utf8(link.dsse));
  const { index, proof, checkpoint } = parseTlogProof(link.tlog_proof);
  const { size, root } = parseCheckpoint(parseNote(checkpoint).text);
  // Stated twice, because tools differ in which one they read.
  const logIndex = String(index);
  return {
    mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
    verificationMaterial: {
      publicKey: { hint: keyId },
      tlogEntries: [
        {
          logIndex,
          logId: { keyId: toBase64(noteKeyHash(logKey.name, logKey.publicKey, sha256)) },
          kindVersion: { kind: 'hashedrekord', version: '0.0.2' },
          integratedTime: '0',
          inclusionProof: {
            logIndex,
            rootHash: toBase64(root),
            treeSize: String(size),
            hashes: proof.map(toBase64),
            checkpoint: { envelope: checkpoint },
          },
          canonicalizedBody: toBase64(utf8(link.leaf)),
        },
      ],
    },
    dsseEnvelope: {
      payload: toBase64(payload),
      payloadType,
      // cosign passes over a signature whose id is not made its own way; the hint above names the key.
      signatures: [{ sig: toBase64(signature), keyid: '' }],
    },
  };
}
