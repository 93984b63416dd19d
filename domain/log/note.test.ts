import * as crypto from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { portableVerifiers } from '../crypto-portable.ts';
import { toBase64 } from '../encoding.ts';
import { openCheckpoint, parseCheckpoint, signCheckpoint } from './checkpoint.ts';
import { openNote, parseNote, signNote, type NoteSigner } from './note.ts';
import { formatTlogProof, parseTlogProof } from './tlog-proof.ts';
import { formatVkey, noteKey, parseVkey } from './vkey.ts';

const { sha256 } = portableVerifiers;
const code = (expected: string): unknown => expect.objectContaining({ code: expected });

function signer(name: string): NoteSigner {
  const pair = crypto.generateKeyPairSync('ed25519');
  const raw = new Uint8Array(pair.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32));
  return {
    ...noteKey(name, raw, sha256),
    sign: (message) => new Uint8Array(crypto.sign(null, message, pair.privateKey)),
  };
}

const log = signer('example.org/log');
const other = signer('witness.example');
const open = (note: string, ...keys: NoteSigner[]) => openNote(note, keys, portableVerifiers);

describe('signed notes', () => {
  const vkey = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
  const text =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
  const line =
    '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n';

  it('open the worked example of the specification', () => {
    const key = parseVkey(vkey, sha256);
    expect(formatVkey(key)).toBe(vkey);
    expect(openNote(`${text}\n${line}`, [key], portableVerifiers).text).toBe(text);
    const forged = `${text.replace('cryptography', 'cryptographz')}\n${line}`;
    expect(() => openNote(forged, [key], portableVerifiers)).toThrow(code('note_signature_invalid'));
  });

  it('ignore signatures of unknown keys, 16 and more of them', async () => {
    const strangers = Array.from({ length: 20 }, (_, i) => signer(`stranger-${i}`));
    expect(open(await signNote(text, [...strangers, log]), log).by).toEqual([log]);
    const unsigned = await signNote(text, strangers);
    expect(() => open(unsigned, log)).toThrow(code('note_unsigned'));
  });

  it('are rejected whole when a known key signed something else, though another holds', async () => {
    const wrong = { ...other, sign: () => log.sign(new Uint8Array()) };
    const note = await signNote(text, [log, wrong]);
    expect(open(note, log).by).toEqual([log]);
    expect(() => open(note, log, other)).toThrow(code('note_signature_invalid'));
  });

  it('ignore a key of the same name but another id', async () => {
    const note = await signNote(text, [signer(log.name)]);
    expect(() => open(note, log)).toThrow(code('note_unsigned'));
  });

  it.each([
    ['no blank line', 'a\n— x AAAAAAA=\n'],
    ['no signatures', 'a\n\n'],
    ['no last newline', `a\n\n${line.trimEnd()}`],
    ['a hyphen', `a\n\n${line.replace('—', '-')}`],
    ['two spaces', `a\n\n${line.replace('— ', '—  ')}`],
    ['a control character', `a\tb\n\n${line}`],
    ['a carriage return', `a\r\n\n${line}`],
    ['no signature bytes', 'a\n\n— x AAAAAA==\n'],
    ['base64 that is not canonical', `a\n\n${line.replace('AM=', 'AN=')}`],
    ['a plus in the name', 'a\n\n— x+y AAAAAAA=\n'],
  ])('are malformed with %s', (_what, note) => {
    expect(() => parseNote(note)).toThrow(code('note_malformed'));
  });

  it.each([
    vkey.replace('c74f20a3', 'c74f20a4'),
    vkey.replace('Peter', 'Petra'),
    vkey.replace('+ARp', '+AhP'),
    vkey.slice(0, -4),
    'name',
    '',
  ])('refuse the verifier key %j', (mangled) => {
    expect(() => parseVkey(mangled, sha256)).toThrow(code('vkey_malformed'));
  });
});

describe('checkpoints', () => {
  const root = sha256(new Uint8Array());

  it('come back as signed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.maxSafeNat(), async (size) => {
        const checkpoint = { origin: log.name, size, root };
        const note = await signCheckpoint(checkpoint, [log]);
        expect(openCheckpoint(note, [log], portableVerifiers)).toEqual(checkpoint);
      }),
      { numRuns: 20 },
    );
  });

  it('are refused when signed by a key of another origin', async () => {
    const note = await signCheckpoint({ origin: log.name, size: 1, root }, [other]);
    expect(() => openCheckpoint(note, [other], portableVerifiers)).toThrow(code('origin_mismatch'));
  });

  it.each([
    `o\n01\n${toBase64(root)}\n`,
    `o\n-1\n${toBase64(root)}\n`,
    `o\n9007199254740992\n${toBase64(root)}\n`,
    `o\n1\n${toBase64(root.subarray(1))}\n`,
    `o\n1\n`,
    `\n1\n${toBase64(root)}\n`,
    `o\n1\n${toBase64(root)}\n\n`,
    `o o\n1\n${toBase64(root)}\n`,
  ])('are refused as %j', (text) => {
    expect(() => parseCheckpoint(text)).toThrow(code('checkpoint_malformed'));
  });

  it('travel in a proof text with the index and hashes', async () => {
    const proof = {
      index: 7,
      proof: [root, sha256(root)],
      checkpoint: await signCheckpoint({ origin: log.name, size: 9, root }, [log, other]),
    };
    expect(parseTlogProof(formatTlogProof(proof))).toEqual(proof);
    const extra = { ...proof, extra: Uint8Array.of(1, 2) };
    expect(parseTlogProof(formatTlogProof(extra))).toEqual(extra);
    const text = formatTlogProof(proof);
    for (const broken of [
      text.replace('@v1', '@v2'),
      text.replace('index 7', 'index 07'),
      text.replace('index 7\n', ''),
      text.replace('index 7', 'extra ?\nindex 7'),
      text.replace('index 7\n', 'index 7\nAAAA\n'),
      '',
    ]) {
      expect(() => parseTlogProof(broken)).toThrow(code('proof_malformed'));
    }
  });
});
