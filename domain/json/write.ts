import { isJsonObject, type JsonNode, type JsonObject } from './node.ts';

/** One of the two families of JSON text that clients have signed (spec: beacon §2.2). */
export interface JsonStyle {
  /** `document`: as read. `utf16`: RFC 8785 and JavaScript. `utf8`: Go; differs from `utf16` only above U+D7FF. */
  keys: 'document' | 'utf16' | 'utf8';
  /** `go`: as encoding/json with HTML escaping on writes strings and numbers. `plain`: as JSON.stringify. */
  values: 'plain' | 'go';
}

/** `node` in one line without white space. */
export function writeJson(node: JsonNode, style: JsonStyle): string {
  if (typeof node === 'string') return writeString(node, style);
  if (typeof node === 'number') return writeNumber(node, style);
  if (Array.isArray(node)) return `[${node.map((item) => writeJson(item, style)).join(',')}]`;
  if (!isJsonObject(node)) return String(node);
  let members = '';
  for (const key of orderedKeys(node, style)) {
    if (members !== '') members += ',';
    members += `${writeString(key, style)}:${writeJson(node.get(key)!, style)}`;
  }
  return `{${members}}`;
}

function orderedKeys(object: JsonObject, style: JsonStyle): string[] {
  const keys = [...object.keys()];
  if (style.keys === 'document') return keys;
  // The default order is that of UTF-16 units, and much faster than any comparator.
  return style.keys === 'utf8' && keys.some((key) => SURROGATE.test(key))
    ? keys.sort(compareUtf8)
    : keys.sort();
}

const SURROGATE = /[\ud800-\udfff]/;

/** The order of the UTF-8 bytes, which is the order of code points. */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    // A surrogate stands for a code point above every single unit.
    if (left !== right)
      return isSurrogate(left) === isSurrogate(right) ? left - right : isSurrogate(left) ? 1 : -1;
  }
  return a.length - b.length;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}

/**
 * Go escapes what could end a script element, and writes backspace and form feed in hexadecimal (the Go releases of the
 * signers did; Go 1.22 and later write \b and \f). Other control characters are \n, \r, \t or lower-case \u00xx in both.
 */
const GO_ESCAPED = /[<>&\u2028\u2029\b\f]/;
/** In the text of a string: what Go escapes, or a whole escape, so that the b of an escaped backslash stays. */
const ESCAPE_OR_SPECIAL = /\\.|[<>&\u2028\u2029]/g;
const GO_ESCAPES: Record<string, string> = {
  '\\b': '\\u0008',
  '\\f': '\\u000c',
  '<': '\\u003c',
  '>': '\\u003e',
  '&': '\\u0026',
  '\u2028': '\\u2028',
  '\u2029': '\\u2029',
};

function writeString(text: string, style: JsonStyle): string {
  const plain = JSON.stringify(text);
  if (style.values === 'plain' || !GO_ESCAPED.test(text)) return plain;
  return plain.replace(ESCAPE_OR_SPECIAL, (found) => GO_ESCAPES[found] ?? found);
}

/**
 * Go signed what it had read into a float64, and formats that as ECMAScript does: shortest digits that read back, an
 * exponent below 1e-6 and from 1e21 on, `e-7` without a leading zero. Only negative zero differs: Go keeps its sign.
 */
function writeNumber(value: number, style: JsonStyle): string {
  return style.values === 'go' && Object.is(value, -0) ? '-0' : String(value);
}
