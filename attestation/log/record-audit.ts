import { equalBytes, fromHex, fromUtf8 } from '../../domain/encoding.ts';
import type { Findings } from '../../domain/log/audit/finding.ts';
import { cidOfDigest } from '../../domain/receipt/cid.ts';
import { parseEnvelope, type Envelope } from '../../domain/receipt/dsse.ts';
import { ReceiptError } from '../../domain/receipt/error.ts';
import { leafOf } from '../../domain/receipt/leaf.ts';
import {
  findDamagedBlocks,
  findUnlogged,
  readAuditedSubjects,
  type AuditedSubject,
} from '../../store/log-audit.ts';
import type { Pool } from '../../store/pool.ts';
import { nodeSha256 } from '../keys/node-verifiers.ts';

/** Envelopes are a few kilobytes. */
const SUBJECTS_AT_ONCE = 256;
/** Up to a mebibyte each; they are hashed where they lie. */
const BLOCKS_AT_ONCE = 32;
const EXECUTIONS_AT_ONCE = 1_000;
const NO_EXECUTION = '00000000-0000-0000-0000-000000000000';

export interface RecordAudit {
  /** Looks at one page; true when everything was looked at. */
  next(size: number): Promise<boolean>;
}

/**
 * Compares what entries are about with the entries: envelope and leaf, statement and receipt, receipt and execution; that
 * every execution that ended has an entry; that every block is its CID's.
 */
export function createRecordAudit(
  pool: Pool,
  logId: string,
  findings: Findings,
  /** Without: only what the entries of this log are about. Executions and blocks belong to no log. */
  { whole = true }: { whole?: boolean } = {},
): RecordAudit {
  let at = 0;
  let block: Uint8Array | null = whole ? new Uint8Array() : null;
  let execution: string | null = whole ? NO_EXECUTION : null;
  return {
    async next(size) {
      if (at < size) {
        const rows = await readAuditedSubjects(pool, logId, at, Math.min(SUBJECTS_AT_ONCE, size - at));
        for (const row of rows) checkSubject(row, findings);
        at += SUBJECTS_AT_ONCE;
        return false;
      }
      if (block !== null) {
        const { damaged, last } = await findDamagedBlocks(pool, block, BLOCKS_AT_ONCE);
        for (const { digest, kind, executionId, jobId } of damaged) {
          const cid = cidOfDigest(digest);
          if (kind === 'receipt')
            findings.add(
              'receipt_altered',
              `execution ${executionId ?? '?'}`,
              `the bytes of ${cid} are others`,
            );
          else if (kind === 'summary')
            findings.add('receipt_altered', `job ${jobId ?? '?'}`, `the bytes of ${cid} are others`);
          else
            findings.add(
              'block_altered',
              `block ${cid}`,
              `its bytes have another hash${kind === null ? '' : ` (${kind})`}`,
            );
        }
        block = last;
        return false;
      }
      if (execution === null) return true;
      const { unlogged, last } = await findUnlogged(pool, execution, EXECUTIONS_AT_ONCE);
      for (const id of unlogged)
        findings.add('execution_unlogged', `execution ${id}`, 'it ended without an entry');
      execution = last;
      return last === null;
    },
  };
}

const DOCUMENTED = new Set(['receipt', 'job', 'key']);

function checkSubject(row: AuditedSubject, findings: Findings): void {
  const { index, subjectKind, subjectId, dsse, digest, erased } = row;
  if (!DOCUMENTED.has(subjectKind) || erased) return;
  const where = `entry ${index}`;
  const named = `${subjectKind === 'receipt' ? 'execution' : subjectKind} ${subjectId}`;
  if (dsse === null || (subjectKind !== 'key' && digest === null)) {
    findings.add('receipt_missing', where, `nothing is stored for ${named}`);
    return;
  }
  const envelope = envelopeOf(dsse);
  const leaf = leafFacts(row.leaf);
  // An entry that cannot be read is named by the audit of the tree.
  if (leaf === undefined) return;
  if (envelope === undefined || !equalBytes(leafOf(envelope, leaf, nodeSha256), row.leaf)) {
    findings.add('envelope_altered', where, `the envelope of ${named} is not the one that was logged`);
    return;
  }
  if (subjectKind === 'key' || digest === null) return;
  const statement = statementOf(envelope);
  const cid = cidOfDigest(digest);
  if (!equalBytes(statement.digest, digest) || row.documentCid !== cid || row.cid !== cid)
    findings.add(
      'receipt_altered',
      named,
      `${where} is about another document than ${row.documentCid ?? 'none'}`,
    );
  if (subjectKind !== 'receipt') return;
  if (row.outcome !== statement.outcome || row.state !== statement.outcome)
    findings.add(
      'execution_altered',
      named,
      `${String(statement.outcome)} was signed, ${String(row.state)} is stored (receipt: ${String(row.outcome)})`,
    );
}

function envelopeOf(dsse: Uint8Array): Envelope | undefined {
  try {
    return parseEnvelope(dsse);
  } catch (error) {
    if (error instanceof ReceiptError) return undefined;
    throw error;
  }
}

interface LeafJson {
  spec?: {
    hashedRekordV002?: {
      signature?: { verifier?: { keyDetails?: unknown; publicKey?: { rawBytes?: unknown } } };
    };
  };
}

/** The key that a leaf names. */
function leafFacts(leaf: Uint8Array): { type: 'p256' | 'ed25519'; spki: Uint8Array } | undefined {
  const { spec } = parsed(leaf) as LeafJson;
  const verifier = spec?.hashedRekordV002?.signature?.verifier;
  const raw = verifier?.publicKey?.rawBytes;
  if (typeof raw !== 'string') return undefined;
  return {
    type: verifier?.keyDetails === 'PKIX_ED25519' ? 'ed25519' : 'p256',
    spki: Buffer.from(raw, 'base64'),
  };
}

/** What an envelope whose leaf is right signs; it was made by us, so its form is not in doubt. */
function statementOf({ payload }: Envelope): { digest: Uint8Array; outcome: unknown } {
  const { subject, predicate } = parsed(payload) as {
    subject?: { digest?: { sha256?: string } }[];
    predicate?: { outcome?: unknown };
  };
  const digest = fromHex(subject?.[0]?.digest?.sha256 ?? '') ?? new Uint8Array();
  return { digest, outcome: predicate?.outcome };
}

function parsed(bytes: Uint8Array): object {
  try {
    const value: unknown = JSON.parse(fromUtf8(bytes) ?? 'null');
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
