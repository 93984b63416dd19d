import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { generateLogKey } from '../../attestation/keys/log-key.ts';
import { nodeSha256, nodeVerifiers } from '../../attestation/keys/node-verifiers.ts';
import { generateReceiptKey, type ReceiptKey } from '../../attestation/keys/receipt-key.ts';
import {
  buildErasure,
  buildFirstKeyStart,
  buildKeyEnd,
  buildKeyStart,
  type SignedStatement,
} from '../../attestation/receipt/build.ts';
import { logged } from '../../test/support/logged.ts';
import { signedJob, type SignedJob } from '../../test/support/signed-job.ts';
import { fromUtf8, utf8 } from '../encoding.ts';
import { parseCheckpoint } from '../log/checkpoint.ts';
import { parseNote } from '../log/note.ts';
import { parseTlogProof } from '../log/tlog-proof.ts';
import { parseEnvelope } from './dsse.ts';
import { parseKeyStatement } from './key-statement.ts';
import { ERASURE_BUNDLE, type ExecutionBundle, type JobBundle } from './bundle.ts';
import { receiptKeyLives, verifyRetirement, type ListedKeyEntry } from './verify-retirement.ts';
import { verifyBundle } from './verify.ts';

let signed: SignedJob;
let keys: ReceiptKey[];
let job: JobBundle;
beforeAll(async () => {
  signed = await signedJob();
  keys = [generateReceiptKey(), generateReceiptKey(), signed.receiptKey];
  job = await signed.remade({ keys });
});

const verify = (bundle: unknown) => verifyBundle(bundle, signed.trust, signed.tools);
const executionOf = ({ spec, executions, key_proofs }: JobBundle, index = 0): ExecutionBundle => ({
  ...signed.execution,
  spec,
  ...executions[index]!,
  key_proof: key_proofs.at(-1)!,
  key_chain: key_proofs.slice(0, -1),
});
const texts = ({ dsse, leaf }: SignedStatement) => ({ dsse: fromUtf8(dsse)!, leaf: fromUtf8(leaf)! });

describe('a bundle of a log whose receipt key was rotated', () => {
  it('holds with the starts of all keys up to the one that signed', () => {
    expect(verify(job)).toMatchObject({ ok: true, treeSize: 7, receiptKeyIds: [keys[2]!.id] });
    expect(verify(executionOf(job))).toMatchObject({ ok: true, executions: [{ keyId: keys[2]!.id }] });
  });

  it('holds when its receipts are signed by different keys', async () => {
    const mixed = await signed.remade({ keys, signedBy: (index) => (index === 0 ? 0 : 2) });
    expect(verify(mixed)).toMatchObject({
      ok: true,
      receiptKeyIds: [keys[0]!.id, keys[2]!.id],
      summary: { keyId: keys[2]!.id },
    });
  });

  const changes: [string, (proofs: JobBundle['key_proofs']) => JobBundle['key_proofs']][] = [
    ['without the first start', (proofs) => proofs.slice(1)],
    ['without one in the middle', ([a, , c]) => [a!, c!]],
    ['with two starts in the wrong order', ([a, b, c]) => [b!, a!, c!]],
    ['with a start twice', ([a, b, c]) => [a!, b!, b!, c!]],
  ];
  it.each(changes)('%s is refused for its key', (_what, change) => {
    const key_proofs = change(job.key_proofs);
    expect(verify({ ...job, key_proofs })).toMatchObject({ ok: false, link: 'key' });
    expect(verify(executionOf({ ...job, key_proofs }))).toMatchObject({ ok: false, link: 'key' });
  });

  it('with a start of a key that signed nothing in it is refused for its key', async () => {
    const bundle = await signed.remade({ keys, signedBy: () => 1 });
    expect(verify(bundle)).toMatchObject({ ok: false, link: 'key', where: 'key_proofs' });
    expect(verify({ ...bundle, key_proofs: bundle.key_proofs.slice(0, 2) })).toMatchObject({ ok: true });
  });

  it('whose key was not vouched for, or has not signed itself, is refused for its key', async () => {
    const [first, second] = keys as [ReceiptKey, ReceiptKey, ReceiptKey];
    const stranger = generateReceiptKey();
    const last = signed.receiptKey;
    const begin = [await buildFirstKeyStart(first), await buildKeyStart(second, first)];
    const unpossessed: ReceiptKey = { ...last, sign: (message) => stranger.sign(message) };
    for (const start of [
      await buildFirstKeyStart(last),
      await buildKeyStart(last, stranger),
      await buildKeyStart(last, first),
      await buildKeyStart(unpossessed, second),
      await buildKeyEnd(last, second),
    ]) {
      const bundle = await signed.remade({ keys, starts: [...begin, start] });
      expect(verify(bundle)).toMatchObject({ ok: false, link: 'key', where: 'key_proofs[2]' });
    }
  });

  it('signed by a key before it started is refused for its key', async () => {
    const early = await signed.remade({ startsLast: true });
    expect(verify(early)).toMatchObject({ ok: false, link: 'key' });
    const [a, b] = [signed.receiptKey, generateReceiptKey()];
    const behind = await signed.remade({ keys: [b, a], signedBy: () => 1 });
    expect(verify(behind)).toMatchObject({ ok: true });
  });

  it('holds only for pinned keys among those that signed, whoever vouches for them', () => {
    const pinned = { ...signed.trust, receiptKeyIds: [keys[2]!.id] };
    expect(verifyBundle(job, pinned, signed.tools)).toMatchObject({ ok: true });
    const old = { ...signed.trust, receiptKeyIds: [keys[0]!.id, keys[1]!.id] };
    expect(verifyBundle(job, old, signed.tools)).toMatchObject({ ok: false, link: 'key' });
  });
});

describe('the first key of a log that follows another', () => {
  const continues = { origin: 'old.example/log', size: 7, root: 'ab'.repeat(32) };

  it('names the last checkpoint of that one, which the verdict repeats', async () => {
    const starts = [await buildFirstKeyStart(signed.receiptKey, continues)];
    const verdict = verify(await signed.remade({ starts }));
    expect(verdict).toMatchObject({
      ok: true,
      notes: [expect.stringContaining('old.example/log'), expect.anything()],
    });
    const { payload } = parseEnvelope(starts[0]!.dsse);
    expect(parseKeyStatement(payload, nodeSha256)).toMatchObject({ continues });
  });
});

describe('key statements', () => {
  it('are refused in any other spelling', async () => {
    const { payload } = parseEnvelope((await buildKeyStart(keys[1]!, keys[0]!)).dsse);
    const text = fromUtf8(payload)!;
    expect(() => parseKeyStatement(payload, nodeSha256)).not.toThrow();
    for (const other of [
      text.replace('"action":"start"', '"action":"end"'),
      text.replace(keys[1]!.id, keys[0]!.id),
      text.replace('"action"', '"action":"start","action"'),
      text.replace(/"possession":"./, '"possession":"?'),
      text.replace('receipt-key:v1', 'log-key:v1'),
      text.replace('"predicate":{', '"predicate":{"a":1,'),
    ]) {
      expect(other).not.toBe(text);
      expect(() => parseKeyStatement(utf8(other), nodeSha256), other).toThrow();
    }
  });
});

/** Statements in a log, listed as a service lists those of keys. */
async function listed(statements: readonly Pick<SignedStatement, 'dsse' | 'leaf'>[]) {
  const links = await logged(statements, generateLogKey().signerFor('beacon.test/log'));
  const tree = parseCheckpoint(parseNote(parseTlogProof(links[0]!.tlog_proof).checkpoint).text);
  const entries: ListedKeyEntry[] = links.map(({ dsse, leaf, tlog_proof }) => {
    const { index, proof: hashes } = parseTlogProof(tlog_proof);
    return { index, hashes, dsse, leaf };
  });
  return { entries, tree };
}

/** Neither start nor end: some other entry of the log. */
const other = { dsse: utf8('{}'), leaf: utf8('other') };

describe('the lives of receipt keys', () => {
  const pool = Array.from({ length: 4 }, generateReceiptKey);

  it('follow from their entries, whatever an honest log did', async () => {
    // Each step: start the next key, end one of those that live but not the newest, or log something else.
    const step = fc.record({
      what: fc.constantFrom('start', 'end', 'other'),
      which: fc.nat(3),
      by: fc.nat(3),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
        const statements: Pick<SignedStatement, 'dsse' | 'leaf'>[] = [await buildFirstKeyStart(pool[0]!)];
        const model = [{ id: pool[0]!.id, start: 0, end: undefined as number | undefined }];
        const keyIndexes = [0];
        for (const { what, which, by } of steps) {
          const index = statements.length;
          const newest = model.length - 1;
          const ended = which % model.length;
          const signer = Math.max(ended, by % model.length);
          if (what === 'start' && model.length < pool.length) {
            statements.push(await buildKeyStart(pool[newest + 1]!, pool[newest]!));
            model.push({ id: pool[newest + 1]!.id, start: index, end: undefined });
          } else if (
            what === 'end' &&
            ended < newest &&
            model[ended]!.end === undefined &&
            model[signer]!.end === undefined
          ) {
            statements.push(await buildKeyEnd(pool[ended]!, pool[signer]!));
            model[ended]!.end = index;
          } else {
            statements.push(other);
            continue;
          }
          keyIndexes.push(index);
        }
        const { entries, tree } = await listed(statements);
        const ofKeys = entries.filter(({ index }) => keyIndexes.includes(index));
        const lives = receiptKeyLives(ofKeys, tree, nodeVerifiers);
        expect([...lives.values()].map(({ id, start, end }) => ({ id, start, end }))).toEqual(model);
      }),
      { numRuns: 25 },
    );
  });

  it('are refused when an entry is moved, forged, or ended by who may not', async () => {
    const [a, b, c] = pool as [ReceiptKey, ReceiptKey, ReceiptKey, ReceiptKey];
    const begin = [await buildFirstKeyStart(a), await buildKeyStart(b, a)];
    const refused = async (...more: Pick<SignedStatement, 'dsse' | 'leaf'>[]) => {
      const { entries, tree } = await listed([...begin, ...more]);
      expect(() => receiptKeyLives(entries, tree, nodeVerifiers)).toThrow(
        expect.objectContaining({ code: 'key' }),
      );
    };
    await refused(await buildKeyEnd(c, b));
    await refused(await buildKeyEnd(b, a));
    await refused(await buildKeyEnd(a, b), await buildKeyEnd(a, b));
    await refused(await buildKeyEnd(b, b), await buildKeyStart(c, b));
    await refused(await buildKeyStart(b, b));
    await refused(other);
    const { entries, tree } = await listed([...begin, await buildKeyEnd(a, b)]);
    const lives = (list: ListedKeyEntry[]) => () => receiptKeyLives(list, tree, nodeVerifiers);
    expect(lives(entries)).not.toThrow();
    expect(lives([entries[1]!, entries[0]!, entries[2]!])).toThrow();
    expect(lives([entries[0]!, { ...entries[1]!, hashes: entries[2]!.hashes }])).toThrow();
    expect(lives([entries[0]!, { ...entries[2]!, index: 1 }])).toThrow();
    expect(lives(entries.slice(1))).toThrow();
    const forged = { ...entries[2]!, dsse: texts(await buildKeyEnd(a, a)).dsse };
    expect(lives([entries[0]!, entries[1]!, forged])).toThrow();
  });
});

describe('a receipt that was logged after the end of its key', () => {
  it('is refused once the key entries are known, and only then', async () => {
    const [old, next] = [signed.receiptKey, generateReceiptKey()];
    const end = await buildKeyEnd(old, next);
    const starts = [await buildFirstKeyStart(old), await buildKeyStart(next, old)];
    // The summary is by the new key, the receipts by the old one: once before its end, once after it.
    const bundle = await signed.remade({
      keys: [old, next],
      signedBy: (index) => (index < 0 ? 1 : 0),
      starts: [...starts, end],
    });
    const ofStarts = { ...bundle, key_proofs: bundle.key_proofs.slice(0, 2) };
    const offline = verify(ofStarts);
    expect(offline).toMatchObject({ ok: true, notes: [expect.stringContaining('not checked')] });
    if (!offline.ok) return;
    const entries = bundle.key_proofs.map(({ dsse, leaf, tlog_proof }) => {
      const { index, proof: hashes } = parseTlogProof(tlog_proof);
      return { index, hashes, dsse, leaf };
    });
    expect(verifyRetirement(offline, entries, nodeVerifiers)).toMatchObject({
      ok: false,
      link: 'key',
      reason: expect.stringContaining('had ended'),
    });
    expect(verifyRetirement(offline, entries.slice(0, 2), nodeVerifiers)).toMatchObject({
      ok: true,
      notes: [expect.stringContaining('checked for retirement up to entry')],
    });
    expect(verifyRetirement(offline, entries.slice(0, 1), nodeVerifiers)).toMatchObject({ ok: false });
    expect(verifyRetirement({ ...offline, root: '00'.repeat(32) }, entries, nodeVerifiers)).toMatchObject({
      ok: false,
    });
  });

  it('and so is an erasure', async () => {
    const [old, next] = [signed.receiptKey, generateReceiptKey()];
    const said = {
      execution_id: signed.receipts[0]!.execution_id,
      job_id: 'job-1',
      receipt_cid: 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku',
      reason: 'asked for',
      erased_at: '2026-01-02T00:00:00.000Z',
    };
    const starts = [await buildFirstKeyStart(old), await buildKeyStart(next, old)];
    const statements = [...starts, await buildKeyEnd(old, next), await buildErasure(said, old)];
    const links = await logged(statements, signed.logKey.signerFor('beacon.test/log'));
    const bundle = { media_type: ERASURE_BUNDLE, erasure: links[3]!, key_proof: links[0]! };
    const offline = verify(bundle);
    expect(offline).toMatchObject({ ok: true, kind: 'erased', erased: [{ keyId: old.id, logIndex: 3 }] });
    if (!offline.ok) return;
    const entries = links.slice(0, 3).map(({ dsse, leaf, tlog_proof }) => {
      const { index, proof: hashes } = parseTlogProof(tlog_proof);
      return { index, hashes, dsse, leaf };
    });
    expect(verifyRetirement(offline, entries, nodeVerifiers)).toMatchObject({
      ok: false,
      link: 'key',
      where: `erasure of ${said.execution_id}`,
      reason: expect.stringContaining('had ended'),
    });
    expect(verifyRetirement(offline, entries.slice(0, 2), nodeVerifiers)).toMatchObject({ ok: true });
  });
});
