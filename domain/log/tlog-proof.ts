import { fromBase64, toBase64 } from '../encoding.ts';
import { parseSize } from './checkpoint.ts';
import { LogError } from './error.ts';
import { HASH_BYTES } from './hash.ts';

/** An inclusion proof with the checkpoint that it leads to, as one text (C2SP tlog-proof, draft). */
export interface TlogProof {
  index: number;
  /** From the leaf's sibling to the root's child. */
  proof: Uint8Array[];
  /** The signed note, verbatim. */
  checkpoint: string;
  extra?: Uint8Array;
}

const HEADER = 'c2sp.org/tlog-proof@v1';
/** A tree below 2^53 leaves has no longer proofs. */
const MAX_HASHES = 53;

export function formatTlogProof({ index, proof, checkpoint, extra }: TlogProof): string {
  const lines = [HEADER];
  if (extra !== undefined) lines.push(`extra ${toBase64(extra)}`);
  lines.push(`index ${index}`, ...proof.map(toBase64));
  return `${lines.join('\n')}\n\n${checkpoint}`;
}

export function parseTlogProof(text: string): TlogProof {
  const split = text.indexOf('\n\n');
  const lines = text.slice(0, Math.max(split, 0)).split('\n');
  const header = lines.shift();
  const extra = lines[0]?.startsWith('extra ') ? fromBase64(lines.shift()!.slice('extra '.length)) : null;
  const indexLine = lines.shift() ?? '';
  const index = indexLine.startsWith('index ') ? parseSize(indexLine.slice('index '.length)) : undefined;
  const proof = lines.map(fromBase64);
  if (
    header !== HEADER ||
    extra === undefined ||
    index === undefined ||
    proof.length > MAX_HASHES ||
    !proof.every((hash) => hash?.length === HASH_BYTES)
  ) {
    throw new LogError('proof_malformed', 'not a c2sp.org/tlog-proof@v1 text');
  }
  return {
    index,
    proof: proof as Uint8Array[],
    checkpoint: text.slice(split + 2),
    ...(extra === null ? {} : { extra }),
  };
}
