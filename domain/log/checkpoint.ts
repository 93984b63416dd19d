import type { Verifiers } from '../crypto.ts';
import { fromBase64, toBase64 } from '../encoding.ts';
import { LogError } from './error.ts';
import { HASH_BYTES } from './hash.ts';
import { openNote, signNote, type NoteSigner } from './note.ts';
import { isKeyName, type NoteKey } from './vkey.ts';

/** The signed head of a log (C2SP tlog-checkpoint v1.0.0): origin, size and root, one line each. */
export interface Checkpoint {
  origin: string;
  size: number;
  root: Uint8Array;
}

export function signCheckpoint(checkpoint: Checkpoint, signers: readonly NoteSigner[]): Promise<string> {
  return signNote(checkpointText(checkpoint), signers);
}

/** What the signatures of a checkpoint cover. */
export function checkpointText({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${toBase64(root)}\n`;
}

/** Reads the text of a note whose signatures were checked. Extension lines are allowed by the format and ignored. */
export function parseCheckpoint(text: string): Checkpoint {
  const [origin = '', sizeText = '', rootText = '', ...extensions] = text.split('\n').slice(0, -1);
  const root = fromBase64(rootText);
  const size = parseSize(sizeText);
  if (!isKeyName(origin) || size === undefined || root?.length !== HASH_BYTES || extensions.includes('')) {
    throw new LogError('checkpoint_malformed', 'a checkpoint is origin, size and root');
  }
  return { origin, size, root };
}

/** The checkpoint, if one of `keys` signed it under its own name, which must be the log's origin. */
export function openCheckpoint(note: string, keys: readonly NoteKey[], verifiers: Verifiers): Checkpoint {
  const opened = openNote(note, keys, verifiers);
  const checkpoint = parseCheckpoint(opened.text);
  if (!opened.by.some((key) => key.name === checkpoint.origin)) {
    throw new LogError('origin_mismatch', `signed, but not by a key of ${checkpoint.origin}`);
  }
  return checkpoint;
}

/** A decimal below 2^53 without leading zeros, or undefined. */
export function parseSize(text: string): number | undefined {
  if (!/^(0|[1-9]\d{0,15})$/.test(text)) return undefined;
  const size = Number(text);
  return Number.isSafeInteger(size) ? size : undefined;
}
