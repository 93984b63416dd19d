import { equalBytes, toHex } from './encoding.ts';
import type { Verifiers } from './crypto.ts';
import { ed25519Spki } from './log/vkey.ts';
import { p256Point } from './p256-spki.ts';

/** The browser's own cryptography, as far as it is used here. */
export interface WebCrypto {
  importKey(
    format: 'spki',
    key: Uint8Array<ArrayBuffer>,
    algorithm: { name: string; namedCurve?: string },
    extractable: boolean,
    usages: ['verify'],
  ): Promise<object>;
  verify(
    algorithm: { name: string; hash?: string },
    key: object,
    signature: Uint8Array<ArrayBuffer>,
    message: Uint8Array<ArrayBuffer>,
  ): Promise<boolean>;
}

interface Asked {
  algorithm: 'Ed25519' | 'ECDSA';
  spki: Uint8Array;
  message: Uint8Array;
  signature: Uint8Array;
}

/**
 * Runs `check` with signatures judged by WebCrypto, which is asynchronous while checks are not: signatures that nobody has
 * judged yet are taken as good and noted, then judged all at once, and `check` runs again. What is returned comes from a
 * run in which every signature had been judged. In a fresh page it is several times faster than the portable cryptography,
 * which is asked where the browser does not know an algorithm.
 */
export async function withWebCrypto<T>(
  check: (verifiers: Verifiers) => T,
  subtle: WebCrypto,
  portable: Verifiers,
): Promise<T> {
  const judged = new Judged();
  const hashes = new RepeatedHashes(portable.sha256);
  for (;;) {
    const asked: Asked[] = [];
    const look = (one: Asked): boolean => {
      const known = judged.get(one);
      if (known !== undefined) return known;
      asked.push(one);
      // A signature that does not hold over one text is tried over others, one of which may be meant: by saying no to those
      // that nobody judged, all of them are noted in one run instead of each in its own.
      return !judged.failed(one);
    };
    hashes.again();
    const answer = check({
      sha256: (bytes) => hashes.of(bytes),
      verifyEd25519: (key, message, signature) =>
        key.length === 32 && look({ algorithm: 'Ed25519', spki: ed25519Spki(key), message, signature }),
      verifyP256: (spki, message, signature) => look({ algorithm: 'ECDSA', spki, message, signature }),
    });
    if (asked.length === 0) return answer;
    const keys = new Map<string, Promise<object>>();
    await Promise.all(asked.map(async (one) => judged.add(one, await judge(one, keys, subtle, portable))));
  }
}

/** What was judged, found again by all of its bytes. */
class Judged {
  readonly #bySignature = new Map<string, { one: Asked; holds: boolean }[]>();

  #of({ algorithm, spki, signature }: Asked): { one: Asked; holds: boolean }[] {
    const all = this.#bySignature.get(toHex(signature)) ?? [];
    return all.filter(({ one }) => one.algorithm === algorithm && equalBytes(one.spki, spki));
  }

  get(asked: Asked): boolean | undefined {
    return this.#of(asked).find(({ one }) => equalBytes(one.message, asked.message))?.holds;
  }

  /** It does not hold over some other message. */
  failed(asked: Asked): boolean {
    return this.#of(asked).some(({ holds }) => !holds);
  }

  add(one: Asked, holds: boolean): void {
    const id = toHex(one.signature);
    this.#bySignature.set(id, [...(this.#bySignature.get(id) ?? []), { one, holds }]);
  }
}

/** The hashes of one run of a check are those of the run before, nearly always: they are compared, not computed. */
class RepeatedHashes {
  readonly #sha256: Verifiers['sha256'];
  readonly #known: { bytes: Uint8Array; digest: Uint8Array }[] = [];
  #at = 0;

  constructor(sha256: Verifiers['sha256']) {
    this.#sha256 = sha256;
  }

  again(): void {
    this.#at = 0;
  }

  of(bytes: Uint8Array): Uint8Array {
    const known = this.#known[this.#at++];
    if (known !== undefined && equalBytes(known.bytes, bytes)) return known.digest.slice();
    const digest = this.#sha256(bytes);
    // Copies: what a caller does with its own bytes afterwards must not change what they are compared with.
    this.#known[this.#at - 1] ??= { bytes: bytes.slice(), digest: digest.slice() };
    return digest;
  }
}

/** `keys`: those that were imported for what is judged together, each once. */
async function judge(
  one: Asked,
  keys: Map<string, Promise<object>>,
  subtle: WebCrypto,
  portable: Verifiers,
): Promise<boolean> {
  const { algorithm, spki, message, signature } = one;
  const imported = (by: { name: string; namedCurve?: string }): Promise<object> => {
    const id = `${algorithm} ${toHex(spki)}`;
    const key = keys.get(id) ?? subtle.importKey('spki', owned(spki), by, false, ['verify']);
    keys.set(id, key);
    return key;
  };
  try {
    if (algorithm === 'Ed25519') {
      const key = await imported({ name: 'Ed25519' });
      return await subtle.verify({ name: 'Ed25519' }, key, owned(signature), owned(message));
    }
    if (p256Point(spki) === undefined) return false;
    const raw = rawSignature(signature);
    if (raw === undefined) return false;
    const key = await imported({ name: 'ECDSA', namedCurve: 'P-256' });
    return await subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, key, owned(raw), owned(message));
  } catch {
    // An algorithm that this browser does not know, or a key that is no key: the portable code tells which.
    return algorithm === 'Ed25519'
      ? portable.verifyEd25519(spki.slice(-32), message, signature)
      : portable.verifyP256(spki, message, signature);
  }
}

/** A copy in memory of its own, as WebCrypto wants it. */
function owned(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}

const SCALAR_BYTES = 32;

/** The two numbers of a DER signature, 32 bytes each; undefined unless it is their one DER form. */
function rawSignature(der: Uint8Array): Uint8Array | undefined {
  if (der[0] !== 0x30 || der[1] !== der.length - 2 || der.length > 72) return undefined;
  const raw = new Uint8Array(2 * SCALAR_BYTES);
  let at = 2;
  for (const end of [SCALAR_BYTES, 2 * SCALAR_BYTES]) {
    const length = der[at + 1] ?? 0;
    const number = der.subarray(at + 2, at + 2 + length);
    const isWhole = der[at] === 0x02 && length > 0 && number.length === length;
    // Positive, and without a leading zero that its sign does not need.
    if (!isWhole || number[0]! >= 0x80 || (number[0] === 0 && length > 1 && number[1]! < 0x80))
      return undefined;
    const bytes = number[0] === 0 ? number.subarray(1) : number;
    if (bytes.length > SCALAR_BYTES) return undefined;
    raw.set(bytes, end - bytes.length);
    at += 2 + length;
  }
  return at === der.length ? raw : undefined;
}
