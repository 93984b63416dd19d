import { utf8 } from '../encoding.ts';
import { isJsonObject, toPlain, type JsonNode, type JsonObject, type PlainObject } from '../json/node.ts';
import { JobSpecError } from './error.ts';

/**
 * One member of a job spec with the path that names it in errors. Readers answer undefined for a member that is absent
 * or null and throw JobSpecError for a wrong type or size. Member names are matched exactly: the case-insensitive
 * matching of the older service would let a signed `Regions` mean what the reader of the spec does not see.
 */
export interface Field {
  value: JsonNode | undefined;
  path: string;
}

/** Of one UTF-16 code unit; a surrogate pair has four for both. */
const MAX_BYTES_PER_UNIT = 3;

export function member(object: JsonObject, key: string, prefix = ''): Field {
  return { value: object.get(key) ?? undefined, path: prefix === '' ? key : `${prefix}.${key}` };
}

/** Empty when it is absent. */
export function readObject(field: Field): JsonObject {
  if (field.value === undefined) return new Map();
  if (!isJsonObject(field.value)) throw refused(field, 'must be an object');
  return field.value;
}

/** As readObject, for what is handed on as it is. */
export function readPlain(field: Field): PlainObject {
  return toPlain(readObject(field));
}

/** The empty string counts as absent, as it did for every signer there has been. */
export function readText(field: Field, maxBytes: number): string | undefined {
  const text = readString(field, maxBytes);
  return text === '' ? undefined : text;
}

/** As readText, but the empty string is a value. */
export function readString(field: Field, maxBytes: number): string | undefined {
  if (field.value === undefined) return undefined;
  if (typeof field.value !== 'string') throw refused(field, 'must be a string');
  if (!fitsUtf8(field.value, maxBytes)) throw refused(field, `must be at most ${maxBytes} bytes`);
  return field.value;
}

export function readNumber(field: Field, min: number, max: number): number | undefined {
  if (field.value === undefined) return undefined;
  if (typeof field.value !== 'number') throw refused(field, 'must be a number');
  if (field.value < min || field.value > max)
    throw refused(
      field,
      max === Number.MAX_VALUE ? `must be ${min} or more` : `must be between ${min} and ${max}`,
    );
  return field.value;
}

export function readInteger(field: Field, min: number, max: number): number | undefined {
  const value = readNumber(field, min, max);
  if (value !== undefined && !Number.isInteger(value)) throw refused(field, 'must be an integer');
  return value;
}

export function readItems(field: Field, maxItems: number): Field[] | undefined {
  if (field.value === undefined) return undefined;
  if (!Array.isArray(field.value)) throw refused(field, 'must be an array');
  if (field.value.length > maxItems) throw refused(field, `must have at most ${maxItems} items`);
  return field.value.map((value, i) => ({ value, path: `${field.path}[${i}]` }));
}

export function readStrings(field: Field, maxItems: number, maxBytes: number): string[] | undefined {
  return readItems(field, maxItems)?.map((item) => readString(item, maxBytes)!);
}

export function refused(field: Pick<Field, 'path'>, what: string): JobSpecError {
  return new JobSpecError(field.path, `${field.path} ${what}`);
}

/** What a stranger wrote, short and quoted, for an error message. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

/** Whether `text` has at most `maxBytes` in UTF-8. Only what lies between the two estimates is counted. */
function fitsUtf8(text: string, maxBytes: number): boolean {
  if (text.length > maxBytes) return false;
  return MAX_BYTES_PER_UNIT * text.length <= maxBytes || utf8(text).length <= maxBytes;
}
