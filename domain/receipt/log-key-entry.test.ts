import { beforeAll, describe, expect, it } from 'vitest';
import { generateLogKey, type LogKey } from '../../attestation/keys/log-key.ts';
import { nodeSha256, nodeVerifiers } from '../../attestation/keys/node-verifiers.ts';
import { generateReceiptKey } from '../../attestation/keys/receipt-key.ts';
import { buildFirstKeyStart, buildLogKeyEnd, buildLogKeyStart } from '../../attestation/receipt/build.ts';
import { logged } from '../../test/support/logged.ts';
import { fromUtf8, utf8 } from '../encoding.ts';
import { formatVkey, type NoteKey } from '../log/vkey.ts';
import { portableVerifiers } from '../crypto-portable.ts';
import type { LogLink } from './bundle.ts';
import { parseEnvelope } from './dsse.ts';
import { parseKeyStatement } from './key-statement.ts';
import { followLogKey } from './log-key-entry.ts';

const ORIGIN = 'beacon.test/log';
const [old, next, stranger] = [generateLogKey(), generateLogKey(), generateLogKey()];
const note = (key: LogKey) => key.signerFor(ORIGIN);
const signers = () => [note(old), note(next)] as const;
let entry: LogLink;

beforeAll(async () => {
  const first = await buildFirstKeyStart(generateReceiptKey());
  const links = await logged([first, await buildLogKeyStart(next, old, ORIGIN)], ...signers());
  entry = links[1]!;
});

const follow = (link: LogLink, ...pinned: NoteKey[]) => followLogKey(link, pinned, nodeVerifiers);

describe('following a log to its next key', () => {
  it('takes its start entry under a checkpoint of the key that is pinned', () => {
    expect(formatVkey(follow(entry, note(old)))).toBe(formatVkey(note(next)));
    expect(formatVkey(follow(entry, note(stranger), note(old)))).toBe(formatVkey(note(next)));
    expect(formatVkey(followLogKey(entry, [note(old)], portableVerifiers))).toBe(formatVkey(note(next)));
  });

  it('is refused without a pin of the key that signed', () => {
    expect(() => follow(entry)).toThrow(expect.objectContaining({ code: 'key' }));
    expect(() => follow(entry, note(stranger))).toThrow();
    expect(() => follow(entry, note(next))).toThrow();
    expect(() => follow(entry, old.signerFor('other.test/log'))).toThrow();
  });

  it('is refused when the checkpoint is signed by the new key alone', async () => {
    const { dsse, leaf } = entry;
    const [alone] = await logged([{ dsse: utf8(dsse), leaf: utf8(leaf) }], note(next));
    expect(() => follow(alone!, note(old))).toThrow();
    const [both] = await logged([{ dsse: utf8(dsse), leaf: utf8(leaf) }], ...signers());
    expect(() => follow(both!, note(old))).not.toThrow();
  });

  it('is refused for an entry that does not stand where its proof says', () => {
    const moved = { ...entry, tlog_proof: entry.tlog_proof.replace('index 1', 'index 0') };
    expect(() => follow(moved, note(old))).toThrow();
    expect(() => follow({ ...entry, leaf: entry.leaf.replace('"', ' "') }, note(old))).toThrow();
    expect(() => follow({ ...entry, dsse: `${entry.dsse} ` }, note(old))).toThrow();
  });

  it('is refused for a key of another origin, one that has not signed, and for an end', async () => {
    const unpossessed: LogKey = { ...next, sign: (message) => stranger.sign(message) };
    for (const statement of [
      await buildLogKeyStart(next, old, 'other.test/log'),
      await buildLogKeyStart(unpossessed, old, ORIGIN),
      await buildLogKeyStart(next, stranger, ORIGIN),
      await buildLogKeyEnd(formatVkey(note(next)), old, ORIGIN),
      await buildFirstKeyStart(generateReceiptKey()),
    ]) {
      const [link] = await logged([statement], ...signers());
      expect(() => follow(link!, note(old))).toThrow(expect.objectContaining({ code: 'key' }));
    }
  });

  it('reads statements of log keys in one spelling only', async () => {
    const { payload } = parseEnvelope((await buildLogKeyStart(next, old, ORIGIN)).dsse);
    const text = fromUtf8(payload)!;
    expect(parseKeyStatement(payload, nodeSha256)).toMatchObject({ kind: 'log-key-start' });
    for (const other of [
      text.replace(/"key_id":"./, '"key_id":"?'),
      text.replace(/"previous":"[^"]*",/, ''),
      text.replace('log-key:v1', 'receipt-key:v1'),
      text.replace('"vkey":"beacon.test', '"vkey":"beacon.tesu'),
    ]) {
      expect(other).not.toBe(text);
      expect(() => parseKeyStatement(utf8(other), nodeSha256)).toThrow();
    }
  });
});
