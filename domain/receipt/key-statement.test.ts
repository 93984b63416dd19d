import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { generateLogKey } from '../../attestation/keys/log-key.ts';
import { nodeSha256 } from '../../attestation/keys/node-verifiers.ts';
import { generateReceiptKey } from '../../attestation/keys/receipt-key.ts';
import { fromUtf8, toBase64, utf8 } from '../encoding.ts';
import { canonicalJson } from '../json/jcs.ts';
import { formatVkey, parseVkey } from '../log/vkey.ts';
import {
  keyStatement,
  logKeyId,
  parseKeyStatement,
  possessedStatement,
  type KeyStatement,
} from './key-statement.ts';
import type { Statement } from './statement.ts';

const receiptKey = generateReceiptKey();
const stranger = generateReceiptKey();
const spki = new Uint8Array(receiptKey.spki);
const vkey = formatVkey(generateLogKey().signerFor('beacon.test/log'));
const ofReceiptKey = { keyId: receiptKey.id, spki };
const ofLogKey = { keyId: logKeyId(parseVkey(vkey, nodeSha256), nodeSha256), vkey };
const possession = Uint8Array.of(1, 2, 3);
const continues = { origin: 'old.example/log', size: 7, root: 'ab'.repeat(32) };

const parse = (payload: Uint8Array) => parseKeyStatement(payload, nodeSha256);
const format = (said: KeyStatement) => keyStatement(said, nodeSha256);

describe('a key statement', () => {
  const statements: fc.Arbitrary<KeyStatement> = fc.oneof(
    fc.record(
      {
        kind: fc.constant('receipt-key-start' as const),
        keyId: fc.constant(ofReceiptKey.keyId),
        spki: fc.constant(spki),
        previous: fc.constant(stranger.id),
        possession: fc.uint8Array({ minLength: 1, maxLength: 80 }),
        continues: fc.constantFrom(continues, { ...continues, checkpoint: 'a note' }),
      },
      { requiredKeys: ['kind', 'keyId', 'spki'] },
    ),
    fc.constant<KeyStatement>({ kind: 'receipt-key-end', ...ofReceiptKey }),
    fc.constant<KeyStatement>({ kind: 'log-key-start', ...ofLogKey, previous: 'x' }),
    fc.constant<KeyStatement>({ kind: 'log-key-start', ...ofLogKey, previous: 'x', possession }),
    fc.constant<KeyStatement>({ kind: 'log-key-end', ...ofLogKey }),
  );

  it('says what was written', () => {
    fc.assert(
      fc.property(statements, (said) => {
        const { spki: read, ...rest } = parse(format(said)) as typeof said & { spki?: Uint8Array };
        const { spki: written, ...others } = said as typeof rest & { spki?: Uint8Array };
        expect(rest).toEqual(others);
        expect(read && toBase64(read)).toBe(written && toBase64(written));
      }),
    );
  });

  it('is signed by the new key without its own signature', () => {
    const start = { kind: 'receipt-key-start', ...ofReceiptKey, previous: stranger.id } as const;
    expect(possessedStatement({ ...start, possession }, nodeSha256)).toEqual(format(start));
    expect(format({ ...start, possession })).not.toEqual(format(start));
  });

  const statementOf = (said: KeyStatement) => JSON.parse(fromUtf8(format(said))!) as Statement;
  const receiptStart = statementOf({ kind: 'receipt-key-start', ...ofReceiptKey });
  const logStart = statementOf({ kind: 'log-key-start', ...ofLogKey, previous: 'x' });
  const saying = (statement: Statement, change: object, drop = '') => {
    const predicate: Record<string, unknown> = { ...statement.predicate, ...change };
    Reflect.deleteProperty(predicate, drop);
    return { ...statement, predicate };
  };
  it.each<[string, object]>([
    ['of another key than it is about', saying(receiptStart, { spki: toBase64(stranger.spki) })],
    ['of another key id', saying(receiptStart, { key_id: stranger.id })],
    ['of a key that is not base64', saying(receiptStart, { spki: '*' })],
    ['of no key', saying(receiptStart, {}, 'spki')],
    ['of a receipt key and a log key', saying(receiptStart, { vkey })],
    ['of more than it may say', saying(receiptStart, { more: 1 })],
    ['of no action', saying(receiptStart, { action: 'pause' })],
    ['of a signature that is not base64', saying(receiptStart, { possession: '*' })],
    ['of an end with a key before', saying(receiptStart, { action: 'end', previous: stranger.id })],
    ['of another predicate', { ...receiptStart, predicateType: 'urn:beacon:job-summary:v1' }],
    [
      'of a log key under the predicate of a receipt key',
      { ...logStart, predicateType: receiptStart.predicateType },
    ],
    [
      'of a receipt key under the predicate of a log key',
      { ...receiptStart, predicateType: logStart.predicateType },
    ],
    ['of two subjects', { ...receiptStart, subject: [...receiptStart.subject, ...receiptStart.subject] }],
    ['of another subject', { ...receiptStart, subject: logStart.subject }],
    ['of no statement type', { ...receiptStart, _type: 'https://in-toto.io/Statement/v0.1' }],
    ['of a log key that follows none', saying(logStart, {}, 'previous')],
    ['of no log key', saying(logStart, {}, 'vkey')],
    ['of a log key that continues another log', saying(logStart, { continues })],
  ])('%s is refused', (_what, statement) => {
    expect(() => parse(utf8(canonicalJson(statement)))).toThrow();
  });

  it('in any other spelling is refused', () => {
    const text = canonicalJson(receiptStart);
    expect(() => parse(utf8(text))).not.toThrow();
    for (const other of [
      `${text} `,
      text.replace('{', '{ '),
      text.replace('"action"', '"action":"start","action"'),
    ]) {
      expect(() => parse(utf8(other)), other).toThrow();
    }
  });
});
