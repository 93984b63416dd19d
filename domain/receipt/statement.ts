import type { Sha256 } from '../crypto.ts';
import { toHex, utf8 } from '../encoding.ts';
import { canonicalJson } from '../json/jcs.ts';
import { cidOfDigest } from './cid.ts';
import type { ExecutionReceipt } from './execution-receipt.ts';
import type { JobSummary } from './job-summary.ts';
import { exact, list, oneOf, record, sha256Hex, text, type Shape } from './shape.ts';

/**
 * in-toto Statements v1: what is really signed. Each is a pure function of the document it speaks of, so a verifier
 * builds it again and compares; it never holds the document itself.
 */
const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
const RECEIPT_PREDICATE = 'urn:beacon:execution-receipt:v1';
const SUMMARY_PREDICATE = 'urn:beacon:job-summary:v1';

export interface Statement {
  _type: typeof STATEMENT_TYPE;
  subject: { name: string; digest: { sha256: string } }[];
  predicateType: string;
  predicate: Record<string, unknown>;
}

export function statement(
  name: string,
  digest: Uint8Array,
  predicateType: string,
  predicate: Statement['predicate'],
): Uint8Array {
  const built: Statement = {
    _type: STATEMENT_TYPE,
    subject: [{ name, digest: { sha256: toHex(digest) } }],
    predicateType,
    predicate,
  };
  return utf8(canonicalJson(built));
}

/** `digest` is that of the receipt's bytes. */
export function receiptStatement(receipt: ExecutionReceipt, digest: Uint8Array): Uint8Array {
  const { execution_id, origin, outcome } = receipt;
  return statement('receipt', digest, RECEIPT_PREDICATE, {
    execution_id,
    origin,
    outcome,
    receipt_cid: cidOfDigest(digest),
  });
}

/** `digest` is that of the summary's bytes. */
export function summaryStatement(summary: JobSummary, digest: Uint8Array): Uint8Array {
  const { job_id, version, origin, outcome } = summary;
  return statement('summary', digest, SUMMARY_PREDICATE, {
    job_id,
    version,
    origin,
    outcome,
    summary_cid: cidOfDigest(digest),
  });
}

/** The id of a receipt key: the first 16 hex digits of the SHA-256 of its SubjectPublicKeyInfo. */
export function receiptKeyId(spki: Uint8Array, sha256: Sha256): string {
  return toHex(sha256(spki).subarray(0, 8));
}

const anything: Shape<unknown> = { read: (value) => value };

export const statementShape: Shape<Statement> = exact<Statement>({
  _type: oneOf(STATEMENT_TYPE),
  subject: list(
    exact<Statement['subject'][0]>({ name: text, digest: exact<{ sha256: string }>({ sha256: sha256Hex }) }),
  ),
  predicateType: text,
  predicate: record(anything),
});
