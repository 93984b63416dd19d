import { z } from 'zod';
import type { LogReader } from '../../../attestation/log/reader.ts';
import { nodeSha256 } from '../../../attestation/keys/node-verifiers.ts';
import { fromUtf8, toHex } from '../../../domain/encoding.ts';
import type { NoteKey } from '../../../domain/log/vkey.ts';
import { sigstoreBundle } from '../../../domain/receipt/sigstore-bundle.ts';
import type { StoredCosignature } from '../../../store/log-cosignatures.ts';
import type { ProvableEntry } from '../../../store/log-entries.ts';
import type { StoredCheckpoint } from '../../../store/log-tiles.ts';
import { ApiError } from '../../errors.ts';
import { cosignature, cosignatureView, cosigned } from './cosigned.ts';
import { subjectOf } from './subject.ts';

const hex = z.string().describe('Hex.');
export const proof = z.object({
  log_id: z.string(),
  leaf_index: z.int(),
  leaf_hash: hex,
  leaf: z.string().describe('The entry itself.'),
  tree_size: z.int(),
  sequence: z.int().describe('Number of entries under the root.'),
  hashes: z.array(hex).describe('From the leaf to the root.'),
  siblings: z.array(hex).describe('The same as `hashes`.'),
  directions: z.array(z.boolean()).describe('Whether each sibling stands on the right.'),
  merkle_root: hex,
  root: hex,
  root_hash: hex,
  updated_at: z.iso.datetime(),
  checkpoint: z.string().describe('The signed note, as the log alone signed it.'),
  cosignatures: z.array(cosignature).describe('Of the checkpoint; `tlog_proof` has their lines too.'),
  tlog_proof: z.string().describe('The same as one c2sp.org/tlog-proof@v1 text.'),
  sigstore_bundle: z
    .looseObject({ mediaType: z.string() })
    .nullable()
    .optional()
    .describe('The same as a Sigstore bundle v0.3; null where there is no envelope of a receipt key.'),
  subject_kind: z.string().optional(),
  execution_id: z.string().nullable().optional(),
  job_id: z.string().nullable().optional(),
  ipfs_cid: z.string().nullable().optional().describe('Of the receipt that the entry is about.'),
  summary_cid: z.string().nullable().optional().describe('Of the job summary that the entry is about.'),
});

export interface Proven {
  reader: LogReader;
  provable: ProvableEntry;
  checkpoint: StoredCheckpoint;
  cosignatures: readonly StoredCosignature[];
  /** The newest key that signs the checkpoint. */
  logKey: NoteKey | undefined;
}

/** An entry's inclusion proof in every form. `visible`: what the entry is about may be told. */
export async function proofAnswer(
  { reader, provable, checkpoint, cosignatures, logKey }: Proven,
  visible: boolean,
): Promise<z.infer<typeof proof>> {
  const { entry, envelope } = provable;
  const [found] = await reader.prove([entry.index], checkpoint);
  if (found === undefined) throw new ApiError('proof_not_found');
  const hashes = found.hashes.map(toHex);
  const root = toHex(checkpoint.root);
  const leaf = entry.leaf.toString('utf8');
  const bundle = () => {
    const dsse = envelope === undefined ? undefined : fromUtf8(envelope);
    if (dsse === undefined || logKey === undefined) return null;
    return sigstoreBundle({ dsse, leaf, tlog_proof: found.tlogProof }, logKey, nodeSha256);
  };
  return {
    log_id: reader.logId,
    leaf_index: entry.index,
    leaf_hash: toHex(entry.leafHash),
    leaf,
    tree_size: checkpoint.size,
    sequence: checkpoint.size,
    hashes,
    siblings: hashes,
    directions: found.directions.map((side) => side === 'right'),
    merkle_root: root,
    root,
    root_hash: root,
    updated_at: checkpoint.signedAt.toISOString(),
    checkpoint: checkpoint.note,
    cosignatures: cosignatures.map(cosignatureView),
    // The checkpoint stands at its end.
    tlog_proof: cosigned(found.tlogProof, cosignatures),
    ...(visible ? { ...subjectOf(entry), sigstore_bundle: bundle() } : {}),
  };
}
