import { verifyCosignature, type CosignerKey } from '../../domain/log/cosignature.ts';
import { LogError } from '../../domain/log/error.ts';
import { parseNote, parseSignatureLine } from '../../domain/log/note.ts';
import { toHex } from '../../domain/encoding.ts';
import type { StoredCosignature } from '../../store/log-cosignatures.ts';
import { nodeVerifiers } from '../keys/node-verifiers.ts';

/** More than this is no answer of a witness. */
const MAX_LINES = 32;

/**
 * The cosignatures of known keys in what a witness answered below a checkpoint; others are ignored. Throws LogError for one
 * of a known key that does not hold, and for an answer that is no signature lines.
 */
export function readCosignatures(
  note: string,
  answer: string,
  keys: readonly CosignerKey[],
): StoredCosignature[] {
  const { text } = parseNote(note);
  const lines = answer.split('\n').slice(0, -1);
  if (!answer.endsWith('\n') || lines.length > MAX_LINES)
    throw new LogError('note_malformed', 'an answer of a witness is signature lines');
  return lines.flatMap((line) => {
    const cosignature = verifyCosignature(text, parseSignatureLine(line), keys, nodeVerifiers);
    if (cosignature === undefined) return [];
    const { key, timeS } = cosignature;
    const signedAt = new Date(timeS * 1_000);
    return [{ cosigner: key.name, keyId: toHex(key.id), line: `${line}\n`, signedAt }];
  });
}
