/**
 * PostgreSQL's binary form of one-dimensional arrays. pg sends a Buffer as it is, so a parameter built here and cast in
 * the statement (`$1::text[]`) costs neither quoting nor hex on either side; that is most of what a batch would cost.
 */
const OID = { bytea: 17, int8: 20, int4: 23, text: 25, json: 114, uuid: 2950 } as const;

const ARRAY_HEADER_BYTES = 20;
const LENGTH_BYTES = 4;
const LONG_BYTES = 8;
const LOW_VALUES = 2 ** 32;
const NULL_LENGTH = -1;

/** How one element is written: its size, and its bytes at a place in the array. */
interface Element<T> {
  size(value: T): number;
  write(out: Buffer, value: T, at: number): void;
}

const text: Element<string> = {
  size: (value) => Buffer.byteLength(value),
  write: (out, value, at) => void out.write(value, at),
};
const bytes: Element<Uint8Array> = {
  size: (value) => value.length,
  write: (out, value, at) => out.set(value, at),
};
const int: Element<number> = {
  size: () => LENGTH_BYTES,
  write: (out, value, at) => void out.writeInt32BE(value, at),
};

/** Counts, sizes and positions: not negative, below 2^53. */
const long: Element<number> = {
  size: () => LONG_BYTES,
  write: (out, value, at) =>
    void out.writeUInt32BE(value % LOW_VALUES, out.writeUInt32BE(Math.floor(value / LOW_VALUES), at)),
};

function encodeArray<T>(oid: number, { size, write }: Element<T>, values: readonly (T | null)[]): Buffer {
  let total = ARRAY_HEADER_BYTES + LENGTH_BYTES * values.length;
  for (const value of values) if (value !== null) total += size(value);
  const out = Buffer.allocUnsafe(total);
  out.writeInt32BE(1, 0); // dimensions
  out.writeInt32BE(1, 4); // may hold nulls
  out.writeInt32BE(oid, 8);
  out.writeInt32BE(values.length, 12);
  out.writeInt32BE(1, 16); // lower bound
  let at = ARRAY_HEADER_BYTES;
  for (const value of values) {
    const length = value === null ? NULL_LENGTH : size(value);
    at = out.writeInt32BE(length, at);
    if (value === null) continue;
    write(out, value, at);
    at += length;
  }
  return out;
}

export const textArray = (values: readonly (string | null)[]): Buffer => encodeArray(OID.text, text, values);
export const jsonArray = (values: readonly string[]): Buffer => encodeArray(OID.json, text, values);
export const byteaArray = (values: readonly Uint8Array[]): Buffer => encodeArray(OID.bytea, bytes, values);
/** Of the 16 bytes of each. */
export const uuidArray = (values: readonly Uint8Array[]): Buffer => encodeArray(OID.uuid, bytes, values);
export const intArray = (values: readonly (number | null)[]): Buffer => encodeArray(OID.int4, int, values);
export const longArray = (values: readonly number[]): Buffer => encodeArray(OID.int8, long, values);
