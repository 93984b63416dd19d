/** Signed job specs for load: form P1, about 1.3 KB, each another one. */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { parseStrictJson } from '../../dist/domain/json/parse.js';
import { canonicalText } from '../../dist/domain/signing/canonical.js';

const PADDING = 'What a benchmark says about itself so that people know what it measures and how. '.repeat(8);
const REGIONS = ['US', 'EU', 'APAC'];

/** @typedef {{ text: string, sign(message: Uint8Array): Buffer }} Key */

/** @returns {Key} */
export function generateKey() {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return {
    text: publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64'),
    sign: (message) => sign(null, message, privateKey),
  };
}

let made = 0;
const run = randomBytes(4).toString('hex');

/** An unsigned spec of 1 or 18 executions; no two are the same. */
export function spec(/** @type {number} */ executions = 1) {
  const number = ++made;
  return {
    id: `bench-${run}-${process.pid}-${number}`,
    version: '1.0',
    benchmark: {
      name: 'identity of models',
      description: PADDING,
      container: { image: 'builtin:echo', tag: '' },
      input: { type: 'prompt', data: { prompt: 'Who are you?' }, hash: 'sha256:placeholder' },
    },
    constraints: {
      regions: executions === 1 ? ['US'] : [...REGIONS],
      min_regions: 1,
      timeout: 60_000_000_000,
    },
    metadata: {
      timestamp: new Date().toISOString(),
      nonce: `${run}-${process.pid}-${number}`,
      batch: 'load',
    },
    created_at: new Date().toISOString(),
    questions:
      executions === 1
        ? ['Who are you?']
        : Array.from({ length: executions / REGIONS.length }, (_, i) => `Question ${i}: who are you?`),
  };
}

/** The bytes that form P1 signs. */
export function messageP1(/** @type {object} */ unsigned) {
  const text = canonicalText('P1', parseStrictJson(Buffer.from(JSON.stringify(unsigned))));
  return Buffer.from(text);
}

/** The body of a submit: `unsigned` signed in form P1. */
export function signedBody(/** @type {object} */ unsigned, /** @type {Key} */ key) {
  const signature = key.sign(messageP1(unsigned)).toString('base64');
  return Buffer.from(JSON.stringify({ ...unsigned, signature, public_key: key.text }));
}
