import { describe, expect, it } from 'vitest';
import { signedJob } from '../../test/support/signed-job.ts';
import { fromUtf8, toHex } from '../../domain/encoding.ts';
import { canonicalJson } from '../../domain/json/jcs.ts';
import { LIMITS } from '../../domain/limits.ts';
import { digestOfCid } from '../../domain/receipt/cid.ts';
import { parseEnvelope } from '../../domain/receipt/dsse.ts';
import { parseExecutionReceipt, type ExecutionReceipt } from '../../domain/receipt/execution-receipt.ts';
import type { EndedExecution } from '../../store/job-end.ts';
import { nodeSha256 } from '../keys/node-verifiers.ts';
import { generateReceiptKey } from '../keys/receipt-key.ts';
import { buildFirstKeyStart, buildReceipt } from './build.ts';
import { buildManifest } from './manifest.ts';

const key = generateReceiptKey();
const { receipts } = await signedJob();
const receipt = receipts[0]!;
const json = (bytes: Uint8Array): unknown => JSON.parse(fromUtf8(bytes)!);

describe('a built receipt', () => {
  it('has canonical bytes, whose hash is its CID', async () => {
    const built = await buildReceipt(receipt, key);
    expect(fromUtf8(built.bytes)).toBe(canonicalJson(receipt));
    expect(toHex(digestOfCid(built.cid))).toBe(toHex(nodeSha256(built.bytes)));
    expect(toHex(built.dsseDigest)).toBe(toHex(nodeSha256(built.dsse)));
    expect(parseExecutionReceipt(built.bytes)).toEqual(receipt);
  });

  it('is spoken of by an in-toto statement that does not hold it', async () => {
    const built = await buildReceipt(receipt, key);
    const envelope = parseEnvelope(built.dsse);
    expect(envelope.payloadType).toBe('application/vnd.in-toto+json');
    expect(envelope.keyId).toBe(key.id);
    expect(json(envelope.payload)).toEqual({
      _type: 'https://in-toto.io/Statement/v1',
      subject: [{ name: 'receipt', digest: { sha256: toHex(built.digest) } }],
      predicateType: 'urn:beacon:execution-receipt:v1',
      predicate: {
        execution_id: receipt.execution_id,
        origin: receipt.origin,
        outcome: receipt.outcome,
        receipt_cid: built.cid,
      },
    });
  });

  it('becomes a hashedrekord over the pre-authentication encoding', async () => {
    const { dsse, leaf } = await buildReceipt(receipt, key);
    const { payload, signatures } = json(dsse) as { payload: string; signatures: { sig: string }[] };
    const statement = Buffer.from(payload, 'base64');
    const pae = Buffer.concat([
      Buffer.from(`DSSEv1 28 application/vnd.in-toto+json ${statement.length} `),
      statement,
    ]);
    expect(json(leaf)).toEqual({
      apiVersion: '0.0.2',
      kind: 'hashedrekord',
      spec: {
        hashedRekordV002: {
          data: { algorithm: 'SHA2_256', digest: Buffer.from(nodeSha256(pae)).toString('base64') },
          signature: {
            content: signatures[0]!.sig,
            verifier: {
              keyDetails: 'PKIX_ECDSA_P256_SHA_256',
              publicKey: { rawBytes: Buffer.from(key.spki).toString('base64') },
            },
          },
        },
      },
    });
  });

  it('that is too large for a block loses the text of the output, not its hash', async () => {
    const inline = '\u0001'.repeat(200_000);
    const large: ExecutionReceipt = {
      ...receipt,
      output: { sha256: 'ab'.repeat(32), size: inline.length, inline },
    };
    const built = await buildReceipt(large, key);
    expect(built.bytes.length).toBeLessThan(LIMITS.receiptBytes);
    expect(parseExecutionReceipt(built.bytes).output).toEqual({
      sha256: 'ab'.repeat(32),
      size: inline.length,
    });
  });

  it('with thousands of attempts keeps the first and the deciding ones', async () => {
    const attempts = Array.from({ length: 8_000 }, (_, i) => ({ ...receipt.attempts[0]!, attempt: i + 1 }));
    const kept = parseExecutionReceipt((await buildReceipt({ ...receipt, attempts }, key)).bytes).attempts;
    expect(kept).toHaveLength(64);
    expect([kept[0]!.attempt, kept.at(-1)!.attempt]).toEqual([1, 8_000]);
  });

  it('is refused when it is not JSON', async () => {
    await expect(buildReceipt({ ...receipt, duration_ms: NaN }, key)).rejects.toThrow();
  });
});

it('the start of a receipt key states its public half', async () => {
  const { dsse, keyId } = await buildFirstKeyStart(key);
  expect(json(parseEnvelope(dsse).payload)).toMatchObject({
    subject: [{ name: 'receipt-key', digest: { sha256: toHex(nodeSha256(key.spki)) } }],
    predicateType: 'urn:beacon:receipt-key:v1',
    predicate: { action: 'start', key_id: keyId, spki: Buffer.from(key.spki).toString('base64') },
  });
});

describe('the manifest of a job', () => {
  const ended = (files: number): EndedExecution => ({
    id: receipt.execution_id,
    index: 0,
    outcome: 'completed',
    region: 'US',
    regionRan: 'US',
    model: null,
    question: null,
    follows: null,
    receiptCid: 'receipt-cid',
    receiptSha256: 'ab'.repeat(32),
    dsseCid: 'dsse-cid',
    outputSha256: null,
    files: Array.from({ length: files }, (_, i) => ({
      name: `${i}`,
      size: 1,
      mime: 'a/b',
      sha256: 'cd'.repeat(32),
      cid: null,
    })),
  });

  it('lists what belongs to each execution by content address', () => {
    const { bytes, cid } = buildManifest('job-1', [ended(1)]);
    expect(toHex(digestOfCid(cid))).toBe(toHex(nodeSha256(bytes)));
    expect(json(bytes)).toMatchObject({
      type: 'bundle-manifest/v1',
      job_id: 'job-1',
      files_listed: true,
      executions: [{ receipt_cid: 'receipt-cid', dsse_cid: 'dsse-cid', files: [{ name: '0' }] }],
    });
  });

  it('leaves the files to the receipts when it would not fit a block', () => {
    const { bytes } = buildManifest(
      'job-1',
      Array.from({ length: 1_000 }, () => ended(64)),
    );
    expect(bytes.length).toBeLessThan(LIMITS.receiptBytes);
    expect(json(bytes)).toMatchObject({ files_listed: false });
  });
});
