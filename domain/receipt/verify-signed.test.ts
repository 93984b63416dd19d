import { describe, expect, it } from 'vitest';
import { nodeSha256, nodeVerifiers } from '../../attestation/keys/node-verifiers.ts';
import { generateReceiptKey, type ReceiptKey as SigningKey } from '../../attestation/keys/receipt-key.ts';
import { fromUtf8, toHex, utf8 } from '../encoding.ts';
import { canonicalJson } from '../json/jcs.ts';
import type { LogLink } from './bundle.ts';
import { formatEnvelope, preAuthEncoding, STATEMENT_PAYLOAD_TYPE } from './dsse.ts';
import { leafOf } from './leaf.ts';
import { verifyKeyStart } from './key-entry.ts';
import { keyStatement } from './key-statement.ts';
import type { Statement } from './statement.ts';
import { BrokenLink } from './verdict.ts';
import { verifySigned } from './verify-signed.ts';

const key = generateReceiptKey();
const stranger = generateReceiptKey();
const WHERE = 'executions[3]';

interface Signing {
  by?: SigningKey;
  keyId?: string;
  payloadType?: string;
  /** The key that the leaf names. */
  spki?: Uint8Array;
}

/** An entry that is signed and turned into its leaf, whatever it says. */
async function entryOf(
  payload: Uint8Array,
  { by = key, keyId = by.id, payloadType = STATEMENT_PAYLOAD_TYPE, spki = by.spki }: Signing = {},
): Promise<LogLink> {
  const signature = await by.sign(preAuthEncoding(payloadType, payload));
  const envelope = { payloadType, payload, keyId, signature };
  return {
    dsse: fromUtf8(formatEnvelope(envelope))!,
    leaf: fromUtf8(leafOf(envelope, { type: 'p256', spki }, nodeSha256))!,
    tlog_proof: '',
  };
}

const bytesOf = (value: unknown): Uint8Array => utf8(canonicalJson(value));
const said = (payload: Uint8Array) => JSON.parse(fromUtf8(payload)!) as Statement;

function broken(check: () => unknown): { link: string; where: string } | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (!(error instanceof BrokenLink)) throw error;
    return { link: error.code, where: error.where };
  }
}

describe('the entry with which the first receipt key of a log starts', () => {
  const statement = said(
    keyStatement({ kind: 'receipt-key-start', keyId: key.id, spki: key.spki }, nodeSha256),
  );
  const read = (entry: LogLink) => verifyKeyStart(entry, undefined, nodeVerifiers, WHERE);

  it('gives the key that it starts', async () => {
    const { id, spki, ...rest } = read(await entryOf(bytesOf(statement)));
    expect([id, toHex(spki), rest]).toEqual([key.id, toHex(key.spki), {}]);
  });

  it.each<[string, Signing]>([
    ['signed by another key', { by: stranger, keyId: key.id, spki: key.spki }],
    ['signed under another key id', { keyId: stranger.id }],
    ['of another type', { payloadType: 'application/json' }],
    ['whose leaf names another key', { spki: stranger.spki }],
  ])('%s is refused', async (_what, signing) => {
    const entry = await entryOf(bytesOf(statement), signing);
    expect(broken(() => read(entry))).toEqual({ link: 'key', where: WHERE });
  });
});

describe('a signed document', () => {
  const bytes = utf8('a receipt');
  const statementOf = (digest: Uint8Array): Statement => ({
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: 'receipt', digest: { sha256: toHex(digest) } }],
    predicateType: 'urn:test',
    predicate: { outcome: 'completed' },
  });
  const digest = nodeSha256(bytes);
  const statement = statementOf(digest);
  const keys = new Map([[key.id, { id: key.id, spki: key.spki }]]);
  const read = (entry: LogLink) =>
    verifySigned(
      { bytes, kind: 'receipt', statement: (of) => bytesOf(statementOf(of)) },
      entry,
      keys,
      nodeVerifiers,
      WHERE,
    );

  it('is the one whose digest was signed', async () => {
    const { digest: found, keyId } = read(await entryOf(bytesOf(statement)));
    expect([toHex(found), keyId]).toEqual([toHex(digest), key.id]);
  });

  it.each<[string, Uint8Array, string]>([
    ['another digest', bytesOf(statementOf(nodeSha256(utf8('another')))), 'receipt'],
    ['no subject', bytesOf({ ...statement, subject: [] }), 'receipt'],
    [
      'a second subject',
      bytesOf({ ...statement, subject: [...statement.subject, ...statement.subject] }),
      'receipt',
    ],
    ['another outcome', bytesOf({ ...statement, predicate: { outcome: 'failed' } }), 'statement'],
    ['no statement', bytesOf({}), 'statement'],
    ['a statement that is not canonical', utf8(`${canonicalJson(statement)} `), 'statement'],
  ])('is refused where %s was signed', async (_what, payload, link) => {
    const entry = await entryOf(payload);
    expect(broken(() => read(entry))).toEqual({ link, where: WHERE });
  });

  it.each<[string, Signing, string]>([
    ['by a key that is not in the log', { by: stranger }, 'dsse'],
    ['by another key than it says', { by: stranger, keyId: key.id, spki: key.spki }, 'dsse'],
    ['as another type', { payloadType: 'application/json' }, 'dsse'],
    ['and logged under another key', { spki: stranger.spki }, 'leaf'],
  ])('is refused when signed %s', async (_what, signing, link) => {
    const entry = await entryOf(bytesOf(statement), signing);
    expect(broken(() => read(entry))).toEqual({ link, where: WHERE });
  });
});
