import type { Verifiers } from '../../crypto.ts';
import { equalBytes } from '../../encoding.ts';
import { openCheckpoint, type Checkpoint } from '../checkpoint.ts';
import { LogError } from '../error.ts';
import type { NoteKey } from '../vkey.ts';
import type { FindingCode, Findings } from './finding.ts';

const CODES: Partial<Record<LogError['code'], FindingCode>> = {
  note_unsigned: 'checkpoint_unsigned',
  note_signature_invalid: 'checkpoint_forged',
  origin_mismatch: 'checkpoint_foreign',
};

/** The checkpoint that `note` holds, if one of `keys` signed it; else a finding at `where`. */
export function readHead(
  note: string,
  keys: readonly NoteKey[],
  verifiers: Verifiers,
  findings: Findings,
  where = 'checkpoint',
): Checkpoint | undefined {
  try {
    return openCheckpoint(note, keys, verifiers);
  } catch (error) {
    if (!(error instanceof LogError)) throw error;
    findings.add(CODES[error.code] ?? 'checkpoint_malformed', where, error.message);
    return undefined;
  }
}

/** What an auditor remembers of a log: a head that was signed and found good. */
export type RememberedHead = Pick<Checkpoint, 'size' | 'root' | 'origin'>;

/**
 * Whether `head` can follow what is remembered, as far as the two tell; that it really does is for a consistency proof, or
 * for building the tree again. False with a finding when it cannot.
 */
export function mayFollow(head: RememberedHead, before: RememberedHead, findings: Findings): boolean {
  if (head.origin !== before.origin) {
    findings.add(
      'checkpoint_foreign',
      'checkpoint',
      `it is of ${head.origin}; ${before.origin} is remembered`,
    );
    return false;
  }
  if (head.size < before.size) {
    findings.add(
      'log_rewound',
      'checkpoint',
      `it is of ${head.size} entries; ${before.size} were signed before`,
    );
    return false;
  }
  if (head.size === before.size && !equalBytes(head.root, before.root)) {
    findings.add('log_forked', 'checkpoint', `another root was signed for ${head.size} entries before`);
    return false;
  }
  return true;
}
