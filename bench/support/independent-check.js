/**
 * Whether a body is a signed job, asked of code that shares nothing with the product: JSON.parse, an RFC 8785 of its own
 * and node:crypto. It knows the forms that the fuzzer signs in, P1 and V0-jcs, and P1 after pruning.
 */
import { createPublicKey, verify } from 'node:crypto';

const SPKI_ED25519 = Buffer.from('302a300506032b6570032100', 'hex');

export function isSigned(/** @type {Buffer} */ body) {
  let spec;
  try {
    spec = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body));
  } catch {
    return false;
  }
  if (typeof spec !== 'object' || spec === null || Array.isArray(spec)) return false;
  const { signature, public_key: publicKey, ...v0 } = spec;
  const { id, created_at: createdAt, ...p1 } = v0;
  try {
    const key = createPublicKey({
      key: Buffer.concat([SPKI_ED25519, Buffer.from(publicKey, 'base64')]),
      format: 'der',
      type: 'spki',
    });
    return [p1, v0, pruned(p1)].some((value) =>
      verify(null, Buffer.from(jcs(value)), key, Buffer.from(signature, 'base64')),
    );
  } catch {
    return false;
  }
}

function jcs(value) {
  if (Array.isArray(value)) return `[${value.map(jcs).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${jcs(value[key])}`);
  return `{${members.join(',')}}`;
}

function pruned(object) {
  const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
  return Object.fromEntries(
    Object.entries(object)
      .map(([key, value]) => [key, isObject(value) ? pruned(value) : value])
      .filter(
        ([, value]) =>
          value !== null &&
          value !== '' &&
          value !== 0 &&
          !(isObject(value) && Object.keys(value).length === 0),
      ),
  );
}
