import type { Sha256 } from '../crypto.ts';
import { concatBytes, fromBase64, fromHex, toBase64, toHex, utf8 } from '../encoding.ts';
import { LogError } from './error.ts';

/** Signature type of plain Ed25519 in C2SP signed-note v1.0.0. */
const ED25519 = 0x01;
const KEY_ID_BYTES = 4;

/** Who signs notes: a name (for a log its origin) with an Ed25519 key. */
export interface NoteKey {
  name: string;
  /** 4 bytes that tell keys of one name apart; not a fingerprint to trust. */
  id: Uint8Array;
  /** 32 raw bytes. */
  publicKey: Uint8Array;
}

export function noteKey(name: string, publicKey: Uint8Array, sha256: Sha256): NoteKey {
  if (!isKeyName(name)) throw new LogError('vkey_malformed', `${JSON.stringify(name)} is no key name`);
  return { name, id: noteKeyHash(name, publicKey, sha256).slice(0, KEY_ID_BYTES), publicKey };
}

/** The hash whose first four bytes are the key id; Sigstore's tools know a log's key by all 32. `type` is that of the signature. */
export function noteKeyHash(name: string, publicKey: Uint8Array, sha256: Sha256, type = ED25519): Uint8Array {
  return sha256(concatBytes(utf8(name), Uint8Array.of(0x0a, type), publicKey));
}

/** The text form of a verifier key: name, id in hex, type and key in base64, joined by `+`. */
export function formatVkey({ name, id, publicKey }: NoteKey): string {
  return `${name}+${toHex(id)}+${toBase64(concatBytes(Uint8Array.of(ED25519), publicKey))}`;
}

export function parseVkey(vkey: string, sha256: Sha256): NoteKey {
  // Base64 may hold a plus, the name may not.
  const [name = '', id = '', ...rest] = vkey.split('+');
  const key = fromBase64(rest.join('+'));
  if (!isKeyName(name) || fromHex(id)?.length !== KEY_ID_BYTES || key?.length !== 33 || key[0] !== ED25519) {
    throw new LogError('vkey_malformed', 'not an Ed25519 verifier key (name+id+key)');
  }
  const parsed = noteKey(name, key.slice(1), sha256);
  if (toHex(parsed.id) !== id)
    throw new LogError('vkey_malformed', 'the key id is not that of this name and key');
  return parsed;
}

const ED25519_SPKI_PREFIX = fromHex('302a300506032b6570032100')!;

/** DER SubjectPublicKeyInfo of a raw Ed25519 key. */
export function ed25519Spki(publicKey: Uint8Array): Uint8Array {
  return concatBytes(ED25519_SPKI_PREFIX, publicKey);
}

/** Not empty, no white space, no plus, no control characters (signed-note, "Format"). */
export function isKeyName(name: string): boolean {
  return name !== '' && name.isWellFormed() && !/[\s+\u0000-\u001f\u007f-\u009f]/.test(name);
}
