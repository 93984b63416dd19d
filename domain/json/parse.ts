import { fromUtf8, utf8 } from '../encoding.ts';
import { LIMITS } from '../limits.ts';
import { JsonError, jsonPath, type JsonErrorCode } from './error.ts';
import type { JsonNode, JsonObject } from './node.ts';

/**
 * Reads the bytes of one JSON text (RFC 8259) without taking anything that two readers could take differently:
 * well-formed UTF-8 without byte order mark, every key of an object once (compared after unescaping), nesting at most
 * `maxDepth` (default 64; a lone object has depth 1), no NUL and no lone surrogate, not even escaped, no number beyond
 * a double's range. Throws JsonError, which names the code, the path in the value and the byte.
 */
export function parseStrictJson(bytes: Uint8Array, maxDepth: number = LIMITS.jsonDepth): JsonNode {
  const text = fromUtf8(bytes);
  if (text === undefined) throw new JsonError('invalid_utf8', 'the text is not well-formed UTF-8', '', 0);
  if (text.charCodeAt(0) === BYTE_ORDER_MARK) {
    throw new JsonError('byte_order_mark', 'the text begins with a byte order mark', '', 0);
  }
  return new Reader(text, maxDepth).document();
}

const BYTE_ORDER_MARK = 0xfeff;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const HEX_ESCAPE = /^[0-9a-fA-F]{4}$/;
const SHORT_ESCAPES: Record<string, string> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

class Reader {
  private readonly text: string;
  private readonly maxDepth: number;
  private at = 0;
  /** Steps from the top to the value being read; as long as the nesting is deep. */
  private readonly path: (string | number)[] = [];

  constructor(text: string, maxDepth: number) {
    this.text = text;
    this.maxDepth = maxDepth;
  }

  document(): JsonNode {
    const value = this.value();
    this.skipSpace();
    if (this.at < this.text.length) this.fail('syntax', 'something follows the end of the JSON value');
    return value;
  }

  private value(): JsonNode {
    switch (this.skipSpace()) {
      case OPEN_OBJECT:
        return this.object();
      case OPEN_ARRAY:
        return this.array();
      case QUOTE:
        return this.string();
      case 0x74:
        return this.word('true', true);
      case 0x66:
        return this.word('false', false);
      case 0x6e:
        return this.word('null', null);
      default:
        return this.number();
    }
  }

  private object(): JsonObject {
    const members: JsonObject = new Map();
    const level = this.enter();
    if (this.skipSpace() === CLOSE_OBJECT) return this.leave(members);
    for (;;) {
      if (this.skipSpace() !== QUOTE) this.fail('syntax', 'a key in double quotes is expected');
      const keyAt = this.at;
      const key = this.string();
      this.path[level] = key;
      if (members.has(key)) {
        this.at = keyAt;
        this.fail('duplicate_key', 'a key stands twice');
      }
      if (this.skipSpace() !== COLON) this.fail('syntax', '":" is expected');
      this.at++;
      members.set(key, this.value());
      this.path[level] = '';
      const next = this.skipSpace();
      if (next === CLOSE_OBJECT) return this.leave(members);
      if (next !== COMMA) this.fail('syntax', '"," or "}" is expected');
      this.at++;
    }
  }

  private array(): JsonNode[] {
    const items: JsonNode[] = [];
    const level = this.enter();
    if (this.skipSpace() === CLOSE_ARRAY) return this.leave(items);
    for (;;) {
      this.path[level] = items.length;
      items.push(this.value());
      const next = this.skipSpace();
      if (next === CLOSE_ARRAY) return this.leave(items);
      if (next !== COMMA) this.fail('syntax', '"," or "]" is expected');
      this.at++;
    }
  }

  private enter(): number {
    const level = this.path.length;
    if (level >= this.maxDepth) this.fail('too_deep', `nested deeper than ${this.maxDepth}`);
    this.at++;
    this.path.push('');
    return level;
  }

  private leave<T>(value: T): T {
    this.at++;
    this.path.pop();
    return value;
  }

  private string(): string {
    const { text } = this;
    const start = ++this.at;
    for (let end = start; ; end++) {
      const unit = text.charCodeAt(end);
      if (unit === QUOTE) {
        this.at = end + 1;
        return text.slice(start, end);
      }
      if (unit === BACKSLASH) return this.escapedString(start, end);
      if (!(unit >= 0x20)) this.failInString(end, unit);
    }
  }

  /** The string that began at `start` and has its first backslash at `end`. */
  private escapedString(start: number, end: number): string {
    const { text } = this;
    let value = '';
    let from = start;
    for (;;) {
      const unit = text.charCodeAt(end);
      if (unit === QUOTE) {
        value += text.slice(from, end);
        this.at = start;
        if (!value.isWellFormed()) this.fail('lone_surrogate', 'a string holds half of a surrogate pair');
        this.at = end + 1;
        return value;
      }
      if (unit === BACKSLASH) {
        value += text.slice(from, end) + this.escape(end);
        from = end + (text[end + 1] === 'u' ? 6 : 2);
        end = from;
      } else {
        if (!(unit >= 0x20)) this.failInString(end, unit);
        end++;
      }
    }
  }

  private escape(at: number): string {
    const letter = this.text[at + 1];
    this.at = at;
    if (letter === 'u') {
      const digits = this.text.slice(at + 2, at + 6);
      if (!HEX_ESCAPE.test(digits)) this.fail('syntax', '\\u needs four hexadecimal digits');
      const unit = parseInt(digits, 16);
      if (unit === 0) this.fail('nul_character', 'a string holds a NUL character');
      return String.fromCharCode(unit);
    }
    const short =
      letter !== undefined && Object.hasOwn(SHORT_ESCAPES, letter) ? SHORT_ESCAPES[letter] : undefined;
    return short ?? this.fail('syntax', 'a backslash begins no escape of JSON');
  }

  private failInString(at: number, unit: number): never {
    this.at = at;
    if (Number.isNaN(unit)) this.fail('syntax', 'the text ends inside a string');
    if (unit === 0) this.fail('nul_character', 'a string holds a NUL character');
    this.fail('syntax', 'a control character in a string must be escaped');
  }

  private number(): number {
    NUMBER.lastIndex = this.at;
    const token = NUMBER.exec(this.text)?.[0];
    if (token === undefined) {
      if (this.at >= this.text.length) this.fail('syntax', 'the text ends where a value is expected');
      if (this.text.charCodeAt(this.at) === 0) this.fail('nul_character', 'the text holds a NUL character');
      return this.fail('syntax', 'a JSON value is expected');
    }
    const value = Number(token);
    if (!Number.isFinite(value)) this.fail('number_out_of_range', 'a number is beyond the range of a double');
    this.at += token.length;
    return value;
  }

  private word<T>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.at)) this.fail('syntax', 'a JSON value is expected');
    this.at += word.length;
    return value;
  }

  /** The first code unit after white space, NaN at the end. */
  private skipSpace(): number {
    for (;;) {
      const unit = this.text.charCodeAt(this.at);
      if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) return unit;
      this.at++;
    }
  }

  private fail(code: JsonErrorCode, message: string): never {
    throw new JsonError(
      code,
      message,
      jsonPath(this.path.filter((step) => step !== '')),
      utf8(this.text.slice(0, this.at)).length,
    );
  }
}
