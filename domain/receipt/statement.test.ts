import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { fromUtf8 } from '../encoding.ts';
import { cidOfDigest } from './cid.ts';
import type { ExecutionReceipt } from './execution-receipt.ts';
import type { JobSummary } from './job-summary.ts';
import { leafOf } from './leaf.ts';
import { describeRow, type PlannedRow } from './planned-row.ts';
import { receiptStatement, summaryStatement } from './statement.ts';

const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash('sha256').update(bytes).digest());
const digest = new Uint8Array(32).fill(0xab);
const origin = { kind: 'job', id: 'job-1', spec_sha256: 'cd'.repeat(32) };
const base64 = (...bytes: number[]) => Buffer.from(bytes).toString('base64');

describe('what is signed', () => {
  it('names a receipt by digest and CID, with whose it is and how it ended', () => {
    const receipt = { execution_id: 'one', origin, outcome: 'completed', extra: 1 } as unknown;
    expect(JSON.parse(fromUtf8(receiptStatement(receipt as ExecutionReceipt, digest))!)).toEqual({
      _type: 'https://in-toto.io/Statement/v1',
      subject: [{ name: 'receipt', digest: { sha256: 'ab'.repeat(32) } }],
      predicateType: 'urn:beacon:execution-receipt:v1',
      predicate: { execution_id: 'one', origin, outcome: 'completed', receipt_cid: cidOfDigest(digest) },
    });
  });

  it('names a summary likewise, with its version', () => {
    const summary = { job_id: 'job-1', version: 2, origin, outcome: 'failed', extra: 1 } as unknown;
    expect(JSON.parse(fromUtf8(summaryStatement(summary as JobSummary, digest))!)).toEqual({
      _type: 'https://in-toto.io/Statement/v1',
      subject: [{ name: 'summary', digest: { sha256: 'ab'.repeat(32) } }],
      predicateType: 'urn:beacon:job-summary:v1',
      predicate: {
        job_id: 'job-1',
        version: 2,
        origin,
        outcome: 'failed',
        summary_cid: cidOfDigest(digest),
      },
    });
  });
});

describe('what stands in the log', () => {
  const envelope = {
    payloadType: 'application/vnd.in-toto+json',
    payload: Uint8Array.of(1, 2),
    keyId: 'k',
    signature: Uint8Array.of(3, 4),
  };
  // DSSE v1: PAE(type, body) = "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body.
  const signed = Buffer.concat([Buffer.from('DSSEv1 28 application/vnd.in-toto+json 2 '), Buffer.of(1, 2)]);

  it.each([
    ['p256', 'PKIX_ECDSA_P256_SHA_256'],
    ['ed25519', 'PKIX_ED25519'],
  ] as const)('is a hashedrekord 0.0.2 that tells the key of an envelope: %s', (type, keyDetails) => {
    const leaf = leafOf(envelope, { type, spki: Uint8Array.of(5, 6) }, sha256);
    expect(JSON.parse(fromUtf8(leaf)!)).toEqual({
      apiVersion: '0.0.2',
      kind: 'hashedrekord',
      spec: {
        hashedRekordV002: {
          data: { algorithm: 'SHA2_256', digest: Buffer.from(sha256(signed)).toString('base64') },
          signature: {
            content: base64(3, 4),
            verifier: { keyDetails, publicKey: { rawBytes: base64(5, 6) } },
          },
        },
      },
    });
  });
});

describe('a row of the plan', () => {
  const row: PlannedRow = {
    region: 'EU',
    model: 'small',
    question: { index: 1, text: 'Why?' },
    image: 'builtin:echo',
    inputSha256: '00',
  };

  it.each<[Partial<PlannedRow>, string]>([
    [{}, 'region EU, model small, question 1, image builtin:echo'],
    [{ region: null, model: null, question: null }, 'region none, image builtin:echo'],
  ])('is told by what it names: %j', (change, told) => {
    expect(describeRow({ ...row, ...change })).toBe(told);
  });
});
