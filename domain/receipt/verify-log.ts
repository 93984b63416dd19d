import type { Verifiers } from '../crypto.ts';
import { equalBytes, utf8 } from '../encoding.ts';
import { openCheckpoint, type Checkpoint } from '../log/checkpoint.ts';
import { treeHash, type TreeHash } from '../log/hash.ts';
import { verifyInclusion } from '../log/proof.ts';
import { parseTlogProof } from '../log/tlog-proof.ts';
import { parseVkey, type NoteKey } from '../log/vkey.ts';
import type { LogLink } from './bundle.ts';
import { BrokenLink, demand, within, type Link, type Trust } from './verdict.ts';

/**
 * Checks that entries stand in the log: one checkpoint for the whole bundle, signed by a trusted key, and an inclusion
 * proof for each entry.
 */
export class LogCheck {
  readonly #keys: NoteKey[];
  readonly #trust: Trust;
  readonly #verifiers: Verifiers;
  readonly #hash: TreeHash;
  #opened: { note: string; checkpoint: Checkpoint } | undefined;

  constructor(trust: Trust, verifiers: Verifiers) {
    this.#keys = within('checkpoint', 'trust', () =>
      trust.vkeys.map((vkey) => parseVkey(vkey, verifiers.sha256)),
    );
    demand(this.#keys.length > 0, 'checkpoint', 'trust', 'no verifier key of the log is trusted');
    this.#trust = trust;
    this.#verifiers = verifiers;
    this.#hash = treeHash(verifiers.sha256);
  }

  /** The one checkpoint of the bundle; only after `verifyCheckpoint`. */
  get checkpoint(): Checkpoint {
    if (this.#opened === undefined) throw new BrokenLink('checkpoint', '', 'no entry was checked');
    return this.#opened.checkpoint;
  }

  verifyCheckpoint(entry: LogLink, where: string): void {
    const { checkpoint: note } = this.#parse(entry, 'proof', where);
    if (this.#opened?.note === note) return;
    const checkpoint = within('checkpoint', where, () => openCheckpoint(note, this.#keys, this.#verifiers));
    const expected = this.#trust.origin ?? checkpoint.origin;
    demand(checkpoint.origin === expected, 'checkpoint', where, `a checkpoint of ${checkpoint.origin}`);
    this.#opened ??= { note, checkpoint };
    const { origin, size, root } = this.#opened.checkpoint;
    const same =
      origin === checkpoint.origin && size === checkpoint.size && equalBytes(root, checkpoint.root);
    demand(same, 'checkpoint', where, 'the proofs do not lead to the same checkpoint');
  }

  /** Answers the index of the entry in the log. `link` is what a failing proof breaks. */
  verifyInclusion(entry: LogLink, link: Link, where: string): number {
    const { index, proof } = this.#parse(entry, link, where);
    const { size, root } = this.checkpoint;
    const claim = { index, size, leafHash: this.#hash.leaf(utf8(entry.leaf)), proof };
    const holds = verifyInclusion(claim, root, this.#hash);
    demand(holds, link, where, `the proof does not place the entry at index ${index} of ${size}`);
    return index;
  }

  /**
   * Where the receipt keys of a chain start: the first at entry 0, each later one after the one that vouches for it. A
   * document must stand behind the start of its key.
   */
  verifyKeyStarts(entries: readonly (readonly [LogLink, string])[]): number[] {
    let before = -1;
    return entries.map(([entry, where]) => {
      const index = this.verifyInclusion(entry, 'key', where);
      const first = before < 0;
      const placed = first ? index === 0 : index > before;
      const wanted = first ? 'not at entry 0 of the log' : `not after the key before it (entry ${before})`;
      demand(placed, 'key', where, `the receipt key starts at entry ${index}, ${wanted}`);
      before = index;
      return index;
    });
  }

  #parse(entry: LogLink, link: Link, where: string) {
    const proof = within(link, where, () => parseTlogProof(entry.tlog_proof));
    demand(proof.extra === undefined, link, where, 'the proof carries something that nobody signed');
    return proof;
  }
}
