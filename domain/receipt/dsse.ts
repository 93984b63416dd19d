import { concatBytes, fromBase64, toBase64, utf8 } from '../encoding.ts';
import { canonicalJson } from '../json/jcs.ts';
import { readDocument } from './document.ts';
import { ReceiptError } from './error.ts';
import { exact, list, text } from './shape.ts';

/** Dead Simple Signing Envelopes (DSSE v1) with one signature, kept as canonical JSON. */
export const STATEMENT_PAYLOAD_TYPE = 'application/vnd.in-toto+json';

export interface Envelope {
  payloadType: string;
  payload: Uint8Array;
  keyId: string;
  signature: Uint8Array;
}

interface EnvelopeJson {
  payload: string;
  payloadType: string;
  signatures: { keyid: string; sig: string }[];
}

const envelopeShape = exact<EnvelopeJson>({
  payload: text,
  payloadType: text,
  signatures: list(exact<{ keyid: string; sig: string }>({ keyid: text, sig: text })),
});

/** What is signed: the pre-authentication encoding of type and payload. */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Uint8Array {
  const type = utf8(payloadType);
  return concatBytes(utf8(`DSSEv1 ${type.length} `), type, utf8(` ${payload.length} `), payload);
}

export function formatEnvelope({ payloadType, payload, keyId, signature }: Envelope): Uint8Array {
  const envelope: EnvelopeJson = {
    payload: toBase64(payload),
    payloadType,
    signatures: [{ keyid: keyId, sig: toBase64(signature) }],
  };
  return utf8(canonicalJson(envelope));
}

export function parseEnvelope(bytes: Uint8Array): Envelope {
  const { payload, payloadType, signatures } = readDocument(bytes, envelopeShape);
  const payloadBytes = fromBase64(payload);
  const [only, ...others] = signatures;
  const signature = only === undefined ? undefined : fromBase64(only.sig);
  if (payloadBytes === undefined || only === undefined || signature === undefined || others.length > 0) {
    throw new ReceiptError('envelope_malformed', 'an envelope holds base64 and one signature');
  }
  return { payloadType, payload: payloadBytes, keyId: only.keyid, signature };
}
