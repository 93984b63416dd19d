import { describe, expect, it } from 'vitest';
import { fromUtf8, utf8 } from '../encoding.ts';
import { canonicalJson } from '../json/jcs.ts';
import { formatEnvelope, parseEnvelope, preAuthEncoding, STATEMENT_PAYLOAD_TYPE } from './dsse.ts';

const envelope = {
  payloadType: STATEMENT_PAYLOAD_TYPE,
  payload: utf8('{"a":1}'),
  keyId: 'a key',
  signature: Uint8Array.of(1, 2, 3),
};
const changed = (change: object) =>
  utf8(canonicalJson({ ...(JSON.parse(fromUtf8(formatEnvelope(envelope))!) as object), ...change }));

describe('an envelope', () => {
  it('is read as it was written', () => {
    expect(parseEnvelope(formatEnvelope(envelope))).toEqual(envelope);
    expect(STATEMENT_PAYLOAD_TYPE).toBe('application/vnd.in-toto+json');
  });

  it('signs type and payload as DSSE v1 encodes them', () => {
    // The example of the protocol's document.
    const encoded = preAuthEncoding('http://example.com/HelloWorld', utf8('hello world'));
    expect(fromUtf8(encoded)).toBe('DSSEv1 29 http://example.com/HelloWorld 11 hello world');
    expect(fromUtf8(preAuthEncoding('ä', utf8('ö')))).toBe('DSSEv1 2 ä 2 ö');
  });

  const one = { keyid: 'a key', sig: 'AQID' };
  it.each([
    ['without a signature', { signatures: [] }],
    ['with two', { signatures: [one, one] }],
    ['whose signature is not base64', { signatures: [{ ...one, sig: 'AQI' }] }],
    ['whose payload is not base64', { payload: 'e30' }],
  ])('%s is refused', (_what, change) => {
    expect(() => parseEnvelope(changed(change))).toThrow(
      expect.objectContaining({ name: 'ReceiptError', code: 'envelope_malformed' }),
    );
  });

  it.each([
    ['with a member more', { more: 1 }],
    ['whose signature has a member more', { signatures: [{ ...one, more: 1 }] }],
    ['whose key id is no text', { signatures: [{ ...one, keyid: 1 }] }],
  ])('%s is refused', (_what, change) => {
    expect(() => parseEnvelope(changed(change))).toThrow(/more|keyid/);
  });
});
