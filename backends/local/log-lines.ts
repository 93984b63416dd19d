import type { OutputLine } from '../backend.ts';
import { LIMITS } from '../../domain/limits.ts';

const NEWLINE = 10;

/**
 * Cuts one stream of bytes into lines for the log: at most 16 KiB each, a longer one goes on in the next. Bytes that
 * are no UTF-8, and NUL, which PostgreSQL cannot hold, become U+FFFD here and only here.
 */
export class LogLines {
  readonly #emit: (line: string) => void;
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #rest: Uint8Array[] = [];
  #restBytes = 0;

  constructor(emit: (line: string) => void) {
    this.#emit = emit;
  }

  push(chunk: Uint8Array): void {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      this.#add(chunk.subarray(start, end));
      this.#flush();
      start = end + 1;
    }
    this.#add(chunk.subarray(start));
  }

  end(): void {
    if (this.#restBytes > 0) this.#flush();
  }

  #add(bytes: Uint8Array): void {
    let left = bytes;
    while (this.#restBytes + left.length > LIMITS.logLineBytes) {
      const cut = wholeCharacters(left, LIMITS.logLineBytes - this.#restBytes);
      this.#keep(left.subarray(0, cut));
      this.#flush();
      left = left.subarray(cut);
    }
    this.#keep(left);
  }

  #keep(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#rest.push(Uint8Array.from(bytes));
    this.#restBytes += bytes.length;
  }

  #flush(): void {
    const line = this.#decoder.decode(Buffer.concat(this.#rest)).replaceAll('\0', '\uFFFD');
    this.#rest = [];
    this.#restBytes = 0;
    this.#emit(line);
  }
}

/** The largest cut at or below `at` that does not split a UTF-8 character. */
function wholeCharacters(bytes: Uint8Array, at: number): number {
  let cut = at;
  while (cut > 0 && at - cut < 3 && (bytes[cut]! & 0xc0) === 0x80) cut--;
  return cut;
}

/** A clock for log lines: wall clock in microseconds that never stands still or runs back within one attempt. */
export function lineClock(): () => number {
  let last = 0;
  return () => (last = Math.max(last + 1, Date.now() * 1_000));
}

export type LineSource = OutputLine['source'];
