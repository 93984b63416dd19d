import { utf8 } from '../../domain/encoding.ts';
import { canonicalJson } from '../../domain/json/jcs.ts';
import { LIMITS } from '../../domain/limits.ts';
import { cidOfDigest } from '../../domain/receipt/cid.ts';
import type { EndedExecution } from '../../store/job-end.ts';
import { nodeSha256 } from '../keys/node-verifiers.ts';

const BUNDLE_MANIFEST = 'bundle-manifest/v1';

export interface Manifest {
  cid: string;
  digest: Uint8Array;
  bytes: Uint8Array;
}

/**
 * What belongs to a job, by content address: receipts, envelopes, outputs, files. One block; a manifest that would be
 * larger leaves the files to the receipts, which list them too, and says so.
 */
export function buildManifest(jobId: string, ended: readonly EndedExecution[]): Manifest {
  const whole = manifestBytes(jobId, ended, true);
  const bytes = whole.length <= LIMITS.receiptBytes ? whole : manifestBytes(jobId, ended, false);
  const digest = nodeSha256(bytes);
  return { bytes, digest, cid: cidOfDigest(digest) };
}

function manifestBytes(jobId: string, ended: readonly EndedExecution[], withFiles: boolean): Uint8Array {
  return utf8(
    canonicalJson({
      type: BUNDLE_MANIFEST,
      job_id: jobId,
      files_listed: withFiles,
      executions: ended.map((one) => ({
        execution_id: one.id,
        index: one.index,
        outcome: one.outcome,
        region: one.region,
        region_ran: one.regionRan,
        model: one.model,
        question_index: one.question,
        follows: one.follows,
        receipt_cid: one.receiptCid,
        dsse_cid: one.dsseCid,
        output_sha256: one.outputSha256,
        ...(withFiles
          ? {
              files: one.files.map(({ name, size, mime, sha256, cid }) => ({
                name,
                size,
                mime,
                sha256,
                cid,
              })),
            }
          : {}),
      })),
    }),
  );
}
