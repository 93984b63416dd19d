/**
 * PostgreSQL's binary form of one-dimensional arrays. pg sends a Buffer as it is, so a parameter built here and cast in
 * the statement (`$1::text[]`) costs neither quoting nor hex on either side; that is most of what a batch would cost.
 */
const OID = { bytea: 17, int4: 23, text: 25, json: 114, uuid: 2950 } as const;

const ARRAY_HEADER_BYTES = 20;
const LENGTH_BYTES = 4;
const NULL_LENGTH = -1;

function encodeArray(oid: number, elements: readonly (Buffer | null)[]): Buffer {
  const size = elements.reduce(
    (sum, element) => sum + LENGTH_BYTES + (element?.length ?? 0),
    ARRAY_HEADER_BYTES,
  );
  const out = Buffer.allocUnsafe(size);
  out.writeInt32BE(1, 0); // dimensions
  out.writeInt32BE(1, 4); // may hold nulls
  out.writeInt32BE(oid, 8);
  out.writeInt32BE(elements.length, 12);
  out.writeInt32BE(1, 16); // lower bound
  let at = ARRAY_HEADER_BYTES;
  for (const element of elements) {
    at = out.writeInt32BE(element?.length ?? NULL_LENGTH, at);
    if (element !== null) at += element.copy(out, at);
  }
  return out;
}

export function textArray(values: readonly (string | null)[]): Buffer {
  return encodeArray(
    OID.text,
    values.map((value) => (value === null ? null : Buffer.from(value, 'utf8'))),
  );
}

export function jsonArray(values: readonly string[]): Buffer {
  return encodeArray(
    OID.json,
    values.map((value) => Buffer.from(value, 'utf8')),
  );
}

export function byteaArray(values: readonly Uint8Array[]): Buffer {
  return encodeArray(
    OID.bytea,
    values.map((value) => Buffer.from(value.buffer, value.byteOffset, value.byteLength)),
  );
}

export function uuidArray(values: readonly string[]): Buffer {
  return encodeArray(
    OID.uuid,
    values.map((value) => Buffer.from(value.replaceAll('-', ''), 'hex')),
  );
}

export function intArray(values: readonly (number | null)[]): Buffer {
  return encodeArray(
    OID.int4,
    values.map((value) => {
      if (value === null) return null;
      const bytes = Buffer.allocUnsafe(LENGTH_BYTES);
      bytes.writeInt32BE(value);
      return bytes;
    }),
  );
}
