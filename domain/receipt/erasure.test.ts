import { describe, expect, it } from 'vitest';
import { nodeSha256, nodeVerifiers } from '../../attestation/keys/node-verifiers.ts';
import { generateReceiptKey } from '../../attestation/keys/receipt-key.ts';
import { buildErasure, buildKeyEnd, type SignedStatement } from '../../attestation/receipt/build.ts';
import { fromUtf8, toHex, utf8 } from '../encoding.ts';
import { canonicalJson } from '../json/jcs.ts';
import { cidOfDigest } from './cid.ts';
import { formatEnvelope, parseEnvelope, preAuthEncoding, STATEMENT_PAYLOAD_TYPE } from './dsse.ts';
import { erasureStatement, verifyErasure, type Erasure } from './erasure.ts';
import { leafOf } from './leaf.ts';

const [key, stranger] = [generateReceiptKey(), generateReceiptKey()];
const receipt = nodeSha256(utf8('a receipt'));
const erasure: Erasure = {
  execution_id: '0197a000-0000-7000-8000-000000000001',
  receipt_cid: cidOfDigest(receipt),
  reason: 'asked for',
  erased_at: '2026-11-22T01:02:03.000Z',
};
const texts = ({ dsse, leaf }: Pick<SignedStatement, 'dsse' | 'leaf'>) => ({
  dsse: fromUtf8(dsse)!,
  leaf: fromUtf8(leaf)!,
});
const verify = (entry: { dsse: string; leaf: string }) =>
  verifyErasure(entry, new Map([[key.id, key]]), nodeVerifiers, 'erased[0]');
const broken = (code: string, reason: RegExp): unknown =>
  expect.objectContaining({
    name: 'BrokenLink',
    code,
    where: 'erased[0]',
    message: expect.stringMatching(reason) as string,
  });

/** An entry of anything, signed as ours are. */
async function signed(statement: object) {
  const payload = utf8(canonicalJson(statement));
  const signature = await key.sign(preAuthEncoding(STATEMENT_PAYLOAD_TYPE, payload));
  const envelope = { payloadType: STATEMENT_PAYLOAD_TYPE, payload, keyId: key.id, signature };
  return texts({
    dsse: formatEnvelope(envelope),
    leaf: leafOf(envelope, { type: 'p256', spki: key.spki }, nodeSha256),
  });
}
const stated = (said: Erasure) => JSON.parse(fromUtf8(erasureStatement(said))!) as object;

describe('the entry of an erasure', () => {
  it('says what was erased, why, when, and who said so', async () => {
    expect(verify(texts(await buildErasure(erasure, key)))).toEqual({
      ...erasure,
      receiptSha256: toHex(receipt),
      keyId: key.id,
    });
    const withJob = { ...erasure, job_id: 'a job' };
    expect(verify(texts(await buildErasure(withJob, key)))).toMatchObject(withJob);
  });

  it('is a statement over the receipt that is gone', () => {
    expect(stated(erasure)).toMatchObject({
      subject: [{ name: 'receipt', digest: { sha256: toHex(receipt) } }],
      predicateType: 'urn:beacon:erasure:v1',
      predicate: erasure,
    });
  });

  it('is refused from a key that the log does not hold', async () => {
    const entry = texts(await buildErasure(erasure, stranger));
    expect(() => verify(entry)).toThrow(broken('dsse', /^no entry for the receipt key /));
  });

  it('is refused when its signature is of other words, or it cannot be read', async () => {
    const entry = texts(await buildErasure(erasure, key));
    const other = parseEnvelope(utf8(texts(await buildErasure({ ...erasure, reason: 'x' }, key)).dsse));
    const { payload } = parseEnvelope(utf8(entry.dsse));
    const dsse = fromUtf8(formatEnvelope({ ...other, payload }))!;
    expect(() => verify({ ...entry, dsse })).toThrow(broken('dsse', /signature does not hold/));
    expect(() => verify({ ...entry, dsse: '{}' })).toThrow(broken('dsse', /./));
  });

  it('is refused with the leaf of another', async () => {
    const [entry, other] = [texts(await buildErasure(erasure, key)), texts(await buildKeyEnd(stranger, key))];
    expect(() => verify({ ...entry, leaf: other.leaf })).toThrow(broken('leaf', /./));
  });

  it('is refused for another kind of statement', async () => {
    const entry = texts(await buildKeyEnd(stranger, key));
    expect(() => verify(entry)).toThrow(broken('statement', /of no erasure/));
    const renamed = await signed({ ...stated(erasure), predicateType: 'urn:beacon:erasure:v2' });
    expect(() => verify(renamed)).toThrow(broken('statement', /of no erasure/));
  });

  it('is refused when its subject is not the receipt that it names', async () => {
    const other = stated({ ...erasure, receipt_cid: cidOfDigest(nodeSha256(utf8('another'))) });
    const entry = await signed({ ...other, predicate: erasure });
    expect(() => verify(entry)).toThrow(broken('statement', /does not say one thing/));
  });

  it('names the member of the statement that is missing or more', async () => {
    const { reason: _, ...without } = erasure;
    const lacking = await signed({ ...stated(erasure), predicate: without });
    expect(() => verify(lacking)).toThrow(broken('statement', /predicate/));
    const more = await signed({ ...stated(erasure), predicate: { ...erasure, more: 1 } });
    expect(() => verify(more)).toThrow(broken('statement', /predicate/));
  });
});
