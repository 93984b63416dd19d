import type { Verifiers } from '../crypto.ts';
import { concatBytes, equalBytes, fromBase64, toBase64, utf8 } from '../encoding.ts';
import { LogError } from './error.ts';
import { isKeyName, type NoteKey } from './vkey.ts';

/** Signed notes of C2SP signed-note v1.0.0: text, a blank line, then one line per signature. */
export interface NoteSigner extends NoteKey {
  readonly sign: (message: Uint8Array) => Uint8Array | Promise<Uint8Array>;
}

export interface NoteSignature {
  name: string;
  keyId: Uint8Array;
  signature: Uint8Array;
}

export interface SignedNote {
  /** Ends in a newline; this is what the signatures cover. */
  text: string;
  signatures: NoteSignature[];
}

const EM_DASH = '\u2014';
const KEY_ID_BYTES = 4;
/** The specification asks for at least 16; more than this is an attack on the reader. */
const MAX_SIGNATURES = 100;
const MAX_NOTE_CHARACTERS = 1_000_000;

/** The note with a line of every signer, in their order; all sign at once. */
export async function signNote(text: string, signers: readonly NoteSigner[]): Promise<string> {
  if (!isNoteText(text))
    throw new LogError('note_malformed', 'a note ends in a newline and has no control characters');
  const message = utf8(text);
  const lines = await Promise.all(
    signers.map(async ({ name, id, sign }) => signatureLine(name, id, await sign(message))),
  );
  return `${text}\n${lines.join('')}`;
}

export function parseNote(note: string): SignedNote {
  const split = note.lastIndexOf('\n\n');
  if (split < 0 || note.length > MAX_NOTE_CHARACTERS || !note.endsWith('\n')) {
    throw new LogError('note_malformed', 'no blank line between text and signatures');
  }
  const text = note.slice(0, split + 1);
  if (!isNoteText(text)) throw new LogError('note_malformed', 'control characters in the text');
  const lines = note
    .slice(split + 2)
    .split('\n')
    .slice(0, -1);
  if (lines.length === 0 || lines.length > MAX_SIGNATURES) {
    throw new LogError('note_malformed', `${lines.length} signatures`);
  }
  return { text, signatures: lines.map(parseSignatureLine) };
}

/** The line of one signature, with its newline. */
export function signatureLine(name: string, keyId: Uint8Array, signature: Uint8Array): string {
  return `${EM_DASH} ${name} ${toBase64(concatBytes(keyId, signature))}\n`;
}

/** Reads one signature line, given without its newline. */
export function parseSignatureLine(line: string): NoteSignature {
  const [dash, name = '', encoded = '', ...rest] = line.split(' ');
  const bytes = fromBase64(encoded);
  if (
    dash !== EM_DASH ||
    rest.length > 0 ||
    !isKeyName(name) ||
    bytes === undefined ||
    bytes.length <= KEY_ID_BYTES
  ) {
    throw new LogError('note_malformed', 'a signature line is malformed');
  }
  return { name, keyId: bytes.slice(0, KEY_ID_BYTES), signature: bytes.slice(KEY_ID_BYTES) };
}

/**
 * The note, if one of `keys` signed it. Signatures by other keys are ignored; one by a known key that does not hold
 * rejects the whole note.
 */
export function openNote(
  note: string,
  keys: readonly NoteKey[],
  verifiers: Verifiers,
): SignedNote & { by: NoteKey[] } {
  const parsed = parseNote(note);
  const message = utf8(parsed.text);
  const by: NoteKey[] = [];
  for (const { name, keyId, signature } of parsed.signatures) {
    const key = keys.find((known) => known.name === name && equalBytes(known.id, keyId));
    if (key === undefined) continue;
    if (!verifiers.verifyEd25519(key.publicKey, message, signature)) {
      throw new LogError('note_signature_invalid', `the signature of ${name} does not hold`);
    }
    if (!by.includes(key)) by.push(key);
  }
  if (by.length === 0) throw new LogError('note_unsigned', 'no signature by a trusted key');
  return { ...parsed, by };
}

/** Well-formed, ends in a newline, no control character but newlines. */
function isNoteText(text: string): boolean {
  return text.endsWith('\n') && text.isWellFormed() && !/[\u0000-\u0009\u000b-\u001f]/.test(text);
}
