import type { Verifiers } from '../crypto.ts';
import { fromHex, utf8 } from '../encoding.ts';
import { treeHash } from '../log/hash.ts';
import { verifyInclusion } from '../log/proof.ts';
import { parseEnvelope } from './dsse.ts';
import { verifyKeyEnd, verifyKeyStart, type ReceiptKey } from './key-entry.ts';
import { parseKeyStatement } from './key-statement.ts';
import { BrokenLink, demand, within, type Accepted, type Verdict } from './verdict.ts';

/** An entry about a receipt key, as a service lists it, with its proof under a tree that is known from elsewhere. */
export interface ListedKeyEntry {
  index: number;
  /** From the leaf's sibling to the root's child. */
  hashes: readonly Uint8Array[];
  dsse: string;
  leaf: string;
}

/** When a receipt key was good for: from its start entry on, up to its end entry. */
export interface KeyLife extends ReceiptKey {
  start: number;
  end?: number;
}

/**
 * The receipt keys of a log with where they start and end, from the key entries under the tree of `size` and `root`. Throws
 * BrokenLink `key` when one of them does not hold. That none was left out of the list is the service's word: entries do not
 * say what they are about.
 */
export function receiptKeyLives(
  entries: readonly ListedKeyEntry[],
  { size, root }: { size: number; root: Uint8Array },
  verifiers: Verifiers,
): Map<string, KeyLife> {
  const hash = treeHash(verifiers.sha256);
  const lives = new Map<string, KeyLife>();
  let newest: KeyLife | undefined;
  let before = -1;
  for (const entry of entries) {
    const where = `key entry ${entry.index}`;
    const { index, hashes: proof } = entry;
    const claim = { index, size, leafHash: hash.leaf(utf8(entry.leaf)), proof };
    demand(index > before, 'key', where, 'the key entries are not in the order of the log');
    demand(verifyInclusion(claim, root, hash), 'key', where, 'the entry does not stand in the log');
    before = index;
    if (isStart(entry, verifiers, where)) {
      const after = newest?.end === undefined;
      demand(after, 'key', where, 'the key before it had ended when the key started');
      newest = { ...verifyKeyStart(entry, newest, verifiers, where), start: index };
      demand(lives.size > 0 || index === 0, 'key', where, 'the first key does not start at entry 0');
      demand(!lives.has(newest.id), 'key', where, 'the key starts twice');
      lives.set(newest.id, newest);
    } else {
      const { id, signer } = verifyKeyEnd(entry, lives, verifiers, where);
      const ended = lives.get(id)!;
      demand(ended.end === undefined, 'key', where, 'the key ends twice');
      const by = lives.get(signer)!;
      demand(by.end === undefined && by.start >= ended.start, 'key', where, `${signer} may not end ${id}`);
      ended.end = index;
    }
  }
  return lives;
}

function isStart(entry: ListedKeyEntry, { sha256 }: Verifiers, where: string): boolean {
  return within('key', where, () => {
    const { kind } = parseKeyStatement(parseEnvelope(utf8(entry.dsse)).payload, sha256);
    return kind === 'receipt-key-start';
  });
}

/** What a bundle cannot say of itself: whether a key had ended when it signed. `entries` are those under its checkpoint. */
export function verifyRetirement(
  verdict: Accepted,
  entries: readonly ListedKeyEntry[],
  verifiers: Verifiers,
): Verdict {
  try {
    const { treeSize: size, root, summary, executions, erased = [] } = verdict;
    const lives = receiptKeyLives(entries, { size, root: fromHex(root)! }, verifiers);
    const signed = [
      ...(summary === undefined ? [] : [{ ...summary, where: 'summary' }]),
      ...executions.map((one) => ({ ...one, where: `execution ${one.executionId}` })),
      // Those in another log have their keys there.
      ...erased
        .filter(({ origin }) => origin === undefined)
        .map((one) => ({ ...one, where: `erasure of ${one.executionId}` })),
    ];
    for (const { keyId, logIndex, where } of signed) {
      const life = lives.get(keyId);
      demand(life !== undefined && life.start < logIndex, 'key', where, `no start of receipt key ${keyId}`);
      const alive = life.end === undefined || logIndex < life.end;
      demand(
        alive,
        'key',
        where,
        `logged at ${logIndex}, after receipt key ${keyId} had ended (${life.end})`,
      );
    }
    const checked = `receipt keys checked for retirement up to entry ${size}, as the service lists them`;
    return {
      ...verdict,
      notes: [
        checked,
        ...verdict.notes.filter((note) => note !== NOT_CHECKED_FOR_RETIREMENT),
        ...erased.flatMap(({ origin, keyId }) =>
          origin === undefined ? [] : [`receipt key ${keyId} not checked for retirement in ${origin}`],
        ),
      ],
    };
  } catch (error) {
    if (!(error instanceof BrokenLink)) throw error;
    return { ok: false, link: error.code, where: error.where, reason: error.message };
  }
}

export const NOT_CHECKED_FOR_RETIREMENT = 'receipt key not checked for retirement (needs the log)';
