/** Every way in which a log can be wrong, as an audit names it (docs/audit.md). A code never changes its meaning. */
export const FINDINGS = {
  // The head
  checkpoint_malformed: 'the checkpoint cannot be read',
  checkpoint_unsigned: 'no trusted key signed the checkpoint',
  checkpoint_forged: 'a signature under the name of a trusted key does not hold',
  checkpoint_foreign: 'the checkpoint is of another log',
  checkpoint_altered: 'a stored checkpoint is not what was signed',
  log_rewound: 'the log is shorter than it was',
  log_forked: 'the log is not the continuation of what it was',
  root_mismatch: 'the entries do not lead to the signed root',

  // The tree
  entry_missing: 'an entry is not there',
  entry_altered: 'an entry is not what was logged',
  entry_truncated: 'an entry was cut short',
  entries_swapped: 'two entries have changed places',
  entry_duplicate: 'an entry stands in the place of another one',
  leaf_hash_altered: 'a stored leaf hash is not that of its entry',
  tile_missing: 'a tile is not there',
  tile_altered: 'a tile is not that of its entries',
  answer_malformed: 'what was served cannot be a part of a log',

  // What the entries are about
  receipt_missing: 'what an entry is about is not stored any more, and was not erased',
  receipt_altered: 'a receipt or summary is not the one that was logged',
  envelope_altered: 'an envelope is not the one of its entry',
  block_altered: 'the bytes of a block are not those of its CID',
  execution_altered: 'an execution is stored with another outcome than was signed',
  execution_unlogged: 'an execution ended and has neither receipt nor entry',
} as const;

export type FindingCode = keyof typeof FINDINGS;

/** One thing that is wrong, and where. */
export interface Finding {
  code: FindingCode;
  /** `entry 311`, `tile/0/001`, `checkpoint 600`, `execution …`. */
  where: string;
  /** What was expected and what was found, for people. */
  reason: string;
}

/** Whether more than one of these is worth printing is the reader's to say; more than this is never kept. */
const MAX_FINDINGS = 1_000;

/** Findings in the order in which they came, each place once. */
export class Findings {
  readonly list: Finding[] = [];
  readonly #known = new Set<string>();
  /** Findings that were not kept. */
  dropped = 0;

  add(code: FindingCode, where: string, reason: string): void {
    const key = `${code} ${where}`;
    if (this.#known.has(key)) return;
    if (this.list.length >= MAX_FINDINGS) {
      this.dropped += 1;
      return;
    }
    this.#known.add(key);
    this.list.push({ code, where, reason });
  }
}
