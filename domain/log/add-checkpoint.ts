import { fromBase64, toBase64 } from '../encoding.ts';
import type { Verifiers } from '../crypto.ts';
import { parseCheckpoint, parseSize, type Checkpoint } from './checkpoint.ts';
import { HASH_BYTES, treeHash } from './hash.ts';
import { openNote, parseNote } from './note.ts';
import { verifyConsistency } from './proof.ts';
import type { NoteKey } from './vkey.ts';

/** The request of C2SP tlog-witness v1.0.0: a checkpoint with the proof that it continues the one of `oldSize`. */
export interface AddCheckpoint {
  oldSize: number;
  proof: Uint8Array[];
  /** The signed note, verbatim. */
  checkpoint: string;
}

/** The protocol's bound on lines of a proof. */
const MAX_PROOF_LINES = 63;

/** Why a witness does not cosign; the protocol has an HTTP status for each. */
export type WitnessRefusalCode = 'malformed' | 'unknown_origin' | 'unsigned' | 'conflict' | 'inconsistent';

export class WitnessRefusal extends Error {
  override readonly name = 'WitnessRefusal';
  readonly code: WitnessRefusalCode;
  /** Of `conflict`: the size that the witness cosigned last. */
  readonly size: number | undefined;
  constructor(code: WitnessRefusalCode, message: string, size?: number) {
    super(message);
    this.code = code;
    this.size = size;
  }
}

/** The content type of a body that is a conflict's size. */
export const SIZE_CONTENT_TYPE = 'text/x.tlog.size';

export function formatAddCheckpoint({ oldSize, proof, checkpoint }: AddCheckpoint): string {
  return `old ${oldSize}\n${proof.map((hash) => `${toBase64(hash)}\n`).join('')}\n${checkpoint}`;
}

export function parseAddCheckpoint(text: string): AddCheckpoint {
  const split = text.indexOf('\n\n');
  const [old = '', ...lines] = text.slice(0, Math.max(split, 0)).split('\n');
  const oldSize = old.startsWith('old ') ? parseSize(old.slice('old '.length)) : undefined;
  const proof = lines.slice(0, MAX_PROOF_LINES).map(fromBase64);
  if (
    oldSize === undefined ||
    lines.length > MAX_PROOF_LINES ||
    !proof.every((hash) => hash?.length === HASH_BYTES)
  ) {
    throw new WitnessRefusal('malformed', 'a request is `old <size>`, hashes, a blank line and a checkpoint');
  }
  return { oldSize, proof: proof as Uint8Array[], checkpoint: text.slice(split + 2) };
}

/** The newest head of a log that a witness cosigned. */
export interface CosignedHead {
  size: number;
  root: Uint8Array;
}

/** The origin of a request, which says whose keys and memory to look at. */
export function originOf({ checkpoint }: Pick<AddCheckpoint, 'checkpoint'>): string {
  return readCheckpoint(checkpoint).origin;
}

/**
 * What the witness is to cosign and to remember, when all that the protocol demands holds: a trusted key of the log signed
 * it, it starts from what was cosigned last, and the proof leads there.
 */
export function judgeCheckpoint(
  { oldSize, proof, checkpoint }: AddCheckpoint,
  cosigned: CosignedHead | undefined,
  trusted: readonly NoteKey[],
  verifiers: Verifiers,
): { text: string; head: Checkpoint } {
  const head = readCheckpoint(checkpoint);
  const keys = trusted.filter(({ name }) => name === head.origin);
  if (keys.length === 0)
    throw new WitnessRefusal('unknown_origin', `${head.origin} is no log that is watched here`);
  const text = openSigned(checkpoint, keys, verifiers);
  if (oldSize > head.size)
    throw new WitnessRefusal('malformed', `the old size ${oldSize} is above the checkpoint's ${head.size}`);
  const known = cosigned?.size ?? 0;
  if (oldSize !== known)
    throw new WitnessRefusal('conflict', `the last cosigned checkpoint has ${known} entries`, known);
  const hash = treeHash(verifiers.sha256);
  const fromRoot = cosigned?.root ?? hash.empty();
  const holds = verifyConsistency({ from: known, to: head.size, fromRoot, toRoot: head.root, proof }, hash);
  if (holds) return { text, head };
  if (known === head.size && proof.length === 0)
    throw new WitnessRefusal('conflict', `another root was cosigned for ${known} entries`, known);
  throw new WitnessRefusal(
    'inconsistent',
    `the proof does not lead from ${known} entries to the ${head.size} of the checkpoint`,
  );
}

function readCheckpoint(note: string): Checkpoint {
  try {
    return parseCheckpoint(parseNote(note).text);
  } catch (error) {
    throw new WitnessRefusal('malformed', error instanceof Error ? error.message : 'no checkpoint');
  }
}

function openSigned(note: string, keys: readonly NoteKey[], verifiers: Verifiers): string {
  try {
    return openNote(note, keys, verifiers).text;
  } catch (error) {
    throw new WitnessRefusal('unsigned', error instanceof Error ? error.message : 'not signed');
  }
}
