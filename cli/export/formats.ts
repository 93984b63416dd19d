import { createPublicKey } from 'node:crypto';
import { nodeSha256, nodeVerifiers } from '../../attestation/keys/node-verifiers.ts';
import { utf8 } from '../../domain/encoding.ts';
import { openNote } from '../../domain/log/note.ts';
import { parseTlogProof } from '../../domain/log/tlog-proof.ts';
import { parseVkey, type NoteKey } from '../../domain/log/vkey.ts';
import {
  ERASURE_BUNDLE,
  EXECUTION_BUNDLE,
  parseBundle,
  type Bundle,
  type LogLink,
} from '../../domain/receipt/bundle.ts';
import { parseEnvelope } from '../../domain/receipt/dsse.ts';
import { verifyKeyChain } from '../../domain/receipt/key-entry.ts';
import { sigstoreBundle } from '../../domain/receipt/sigstore-bundle.ts';
import { trustedRoot } from '../../domain/receipt/trusted-root.ts';
import type { Trust } from '../../domain/receipt/verdict.ts';
import type { ExportFormat } from '../commands/export.ts';
import { CliError } from '../failure.ts';

/** A CAR is no text (cli/export/car.ts). */
export type TextFormat = Exclude<ExportFormat, 'car'>;

/** What a verified bundle, of an execution or of a job (its summary), looks like to other tools. */
export function exported(format: TextFormat, bytes: Uint8Array, trust: Trust): string {
  const { document, link, keys } = subjectOf(parseBundle(bytes));
  const logKeys = trust.vkeys.map((vkey) => parseVkey(vkey, nodeSha256));
  switch (format) {
    case 'document':
      return document;
    case 'dsse':
      return link.dsse;
    case 'leaf':
      return link.leaf;
    case 'tlog-proof':
      return link.tlog_proof;
    case 'sigstore':
      return json(sigstoreBundle(link, signerOf(link, logKeys), nodeSha256));
    case 'trusted-root':
      return json(trustedRoot(logKeys, nodeSha256));
    case 'public-key':
      return receiptKeyPem(link, keys);
  }
}

interface Subject {
  document: string;
  link: LogLink;
  /** The starts of the receipt keys, from the log's first one on. */
  keys: LogLink[];
}

export function subjectOf(bundle: Bundle): Subject {
  if (bundle.media_type === EXECUTION_BUNDLE) {
    const keys = [...(bundle.key_chain ?? []), bundle.key_proof];
    return { document: bundle.receipt, link: bundle, keys };
  }
  if (bundle.media_type === ERASURE_BUNDLE)
    throw new CliError('failed', 'the execution was erased: there is no receipt to export', {
      next: '`beacon verify` shows the proof of that',
    });
  return { document: bundle.summary.summary, link: bundle.summary, keys: bundle.key_proofs };
}

/** The newest trusted key that signed the checkpoint: while keys overlap there are two. */
function signerOf(link: LogLink, logKeys: readonly NoteKey[]): NoteKey {
  const { checkpoint } = parseTlogProof(link.tlog_proof);
  return openNote(checkpoint, logKeys, nodeVerifiers).by.at(-1)!;
}

function receiptKeyPem(link: LogLink, starts: readonly LogLink[]): string {
  const keys = verifyKeyChain(
    starts.map((start, i) => [start, `key ${i}`]),
    nodeVerifiers,
  );
  const { spki } = keys.get(parseEnvelope(utf8(link.dsse)).keyId)!;
  const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  return key.export({ format: 'pem', type: 'spki' }).toString();
}

function json(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
