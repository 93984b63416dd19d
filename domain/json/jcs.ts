/** Canonical JSON of plain values (RFC 8785): keys sorted by UTF-16 code units, no white space, numbers as ECMAScript. */
export type CanonicalJsonErrorCode = 'number_not_finite' | 'lone_surrogate' | 'not_json' | 'too_deep';

export class CanonicalJsonError extends Error {
  readonly code: CanonicalJsonErrorCode;
  constructor(code: CanonicalJsonErrorCode, message: string) {
    super(message);
    this.name = 'CanonicalJsonError';
    this.code = code;
  }
}

/** Deeper values are refused rather than overflowing the stack. */
const MAX_DEPTH = 256;

/** Members that are `undefined` are left out, as JSON.stringify does; anything else that is not JSON is refused. */
export function canonicalJson(value: unknown): string {
  return write(value, 0);
}

function write(value: unknown, depth: number): string {
  if (depth > MAX_DEPTH) throw new CanonicalJsonError('too_deep', `nested deeper than ${MAX_DEPTH}`);
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return writeString(value);
  if (typeof value === 'number') return writeNumber(value);
  if (Array.isArray(value)) {
    return `[${value.map((item: unknown) => write(item, depth + 1)).join(',')}]`;
  }
  if (typeof value === 'object' && isPlain(value)) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    members.sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([key, member]) => `${writeString(key)}:${write(member, depth + 1)}`).join(',')}}`;
  }
  throw new CanonicalJsonError('not_json', `a ${typeof value} is not JSON`);
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function writeString(text: string): string {
  if (!text.isWellFormed()) throw new CanonicalJsonError('lone_surrogate', 'a string holds a lone surrogate');
  return JSON.stringify(text);
}

function writeNumber(value: number): string {
  if (!Number.isFinite(value)) throw new CanonicalJsonError('number_not_finite', `${value} is not JSON`);
  return JSON.stringify(value);
}
