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
 * Runs `check` with signatures judged by WebCrypto, which is asynchronous while checks are not: a signature that nobody has
 * judged yet is taken as good and noted, and judged when the check has run. A run in which every answer turns out right is
 * what the check says or throws; else `check` runs again with what is known now. In a fresh page this is several times faster
 * than the portable cryptography, which is asked where the browser does not know an algorithm.
 */
export async function withWebCrypto<T>(
  check: (verifiers: Verifiers) => T,
  subtle: WebCrypto,
  portable: Verifiers,
): Promise<T> {
  const judged = new Judged();
  for (;;) {
    const asked: { one: Asked; answer: boolean }[] = [];
    const look = (one: Asked): boolean => {
      const known = judged.get(one);
      if (known !== undefined) return known;
      // A signature that does not hold over one text is tried over others, one of which may be meant: by saying no to those
      // that nobody judged, all of them are noted in one run instead of each in its own.
      const answer = !judged.failed(one);
      asked.push({ one, answer });
      return answer;
    };
    const said = outcomeOf(() =>
      check({
        sha256: portable.sha256,
        verifyEd25519: (key, message, signature) =>
          key.length === 32 && look({ algorithm: 'Ed25519', spki: ed25519Spki(key), message, signature }),
        verifyP256: (spki, message, signature) => look({ algorithm: 'ECDSA', spki, message, signature }),
      }),
    );
    const keys = new Map<string, Promise<object>>();
    const right = await Promise.all(
      asked.map(async ({ one, answer }) => {
        const holds = await judge(one, keys, subtle, portable);
        judged.add(one, holds);
        return holds === answer;
      }),
    );
    if (!right.includes(false)) return said();
  }
}

/** What `work` answered or threw, again and whenever it is asked for. */
function outcomeOf<T>(work: () => T): () => T {
  try {
    const value = work();
    return () => value;
  } catch (error) {
    return () => {
      throw error;
    };
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
