import type { Sha256, Verifiers } from '../crypto.ts';
import { concatBytes, equalBytes, fromBase64, fromHex, toBase64, toHex, utf8 } from '../encoding.ts';
import { LogError } from './error.ts';
import { parseSignatureLine, signatureLine, type NoteSignature } from './note.ts';
import { isKeyName, noteKeyHash, type NoteKey } from './vkey.ts';

/**
 * Cosignatures of C2SP tlog-cosignature v1.0.1, Ed25519 kind: a line below a checkpoint by which somebody else says at which
 * time he saw it, after checking that it continues what he saw before.
 */
export const COSIGNATURE_TYPE = 0x04;
const TIME_BYTES = 8;
const SIGNATURE_BYTES = 64;
const KEY_ID_BYTES = 4;

/** Who cosigns: the same form as a log's key, but a key of its own type, so that the ids differ. */
export type CosignerKey = NoteKey;

export interface CosignatureSigner extends CosignerKey {
  readonly sign: (message: Uint8Array) => Uint8Array | Promise<Uint8Array>;
}

export function cosignerKey(name: string, publicKey: Uint8Array, sha256: Sha256): CosignerKey {
  if (!isKeyName(name)) throw new LogError('vkey_malformed', `${JSON.stringify(name)} is no key name`);
  const id = noteKeyHash(name, publicKey, sha256, COSIGNATURE_TYPE).slice(0, KEY_ID_BYTES);
  return { name, id, publicKey };
}

/** The text form of a cosigner's key: name, id in hex, type and key in base64, joined by `+`. */
export function formatCosignerVkey({ name, id, publicKey }: CosignerKey): string {
  return `${name}+${toHex(id)}+${toBase64(concatBytes(Uint8Array.of(COSIGNATURE_TYPE), publicKey))}`;
}

export function parseCosignerVkey(vkey: string, sha256: Sha256): CosignerKey {
  const [name = '', id = '', ...rest] = vkey.split('+');
  const key = fromBase64(rest.join('+'));
  const wellFormed = isKeyName(name) && fromHex(id)?.length === KEY_ID_BYTES && key?.length === 33;
  if (!wellFormed || key[0] !== COSIGNATURE_TYPE) {
    throw new LogError('vkey_malformed', 'not an Ed25519 cosigner key (name+id+key)');
  }
  const parsed = cosignerKey(name, key.slice(1), sha256);
  if (toHex(parsed.id) !== id)
    throw new LogError('vkey_malformed', 'the key id is not that of this name and key');
  return parsed;
}

/** What a cosignature covers: the time and the text of the checkpoint, which ends in a newline. */
export function cosignedMessage(text: string, timeS: number): Uint8Array {
  return utf8(`cosignature/v1\ntime ${timeS}\n${text}`);
}

/** The line by which `signer` says that he saw the checkpoint `text` at `timeS` (seconds since 1970), with its newline. */
export async function cosign(text: string, timeS: number, signer: CosignatureSigner): Promise<string> {
  const time = new Uint8Array(TIME_BYTES);
  new DataView(time.buffer).setBigUint64(0, BigInt(timeS));
  const signature = await signer.sign(cosignedMessage(text, timeS));
  return signatureLine(signer.name, signer.id, concatBytes(time, signature));
}

export interface Cosignature {
  key: CosignerKey;
  /** Seconds since 1970. */
  timeS: number;
}

/**
 * Whose cosignature a line is, and of when. Undefined for a line of somebody else, which is ignored; throws
 * `note_signature_invalid` for one of a known key that does not hold.
 */
export function verifyCosignature(
  text: string,
  line: NoteSignature | string,
  keys: readonly CosignerKey[],
  verifiers: Pick<Verifiers, 'verifyEd25519'>,
): Cosignature | undefined {
  const { name, keyId, signature } = typeof line === 'string' ? parseSignatureLine(line) : line;
  const key = keys.find((known) => known.name === name && equalBytes(known.id, keyId));
  if (key === undefined) return undefined;
  const timeS = timeOf(signature);
  const holds =
    timeS !== undefined &&
    verifiers.verifyEd25519(key.publicKey, cosignedMessage(text, timeS), signature.slice(TIME_BYTES));
  if (!holds) throw new LogError('note_signature_invalid', `the cosignature of ${name} does not hold`);
  return { key, timeS };
}

function timeOf(signature: Uint8Array): number | undefined {
  if (signature.length !== TIME_BYTES + SIGNATURE_BYTES) return undefined;
  const time = Number(new DataView(signature.buffer, signature.byteOffset).getBigUint64(0));
  return Number.isSafeInteger(time) ? time : undefined;
}
