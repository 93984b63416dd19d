import type { ReceiptKey } from '../keys/receipt-key.ts';
import { buildJobSummary, buildReceipt } from './build.ts';
import { buildManifest } from './manifest.ts';

export type DocumentSigner = ReturnType<typeof createDocumentSigner>;

/** What `attest` is given: the documents of a job, signed with the receipt key of this worker. */
export function createDocumentSigner(key: ReceiptKey) {
  return {
    signReceipt: (receipt: Parameters<typeof buildReceipt>[0]) => buildReceipt(receipt, key),
    signSummary: (summary: Parameters<typeof buildJobSummary>[0]) => buildJobSummary(summary, key),
    manifest: buildManifest,
  };
}
