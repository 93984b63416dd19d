import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { generateLogKey } from '../../attestation/keys/log-key.ts';
import { formatVkey } from '../../domain/log/vkey.ts';
import { recordedIo } from '../../test/support/recorded-io.ts';
import { signedJob, type SignedJob } from '../../test/support/signed-job.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { main } from '../command-line.ts';

let signed: SignedJob;
let vkey: string;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  signed = await signedJob();
  vkey = signed.trust.vkeys[0]!;
});
beforeEach(async () => {
  folder = await temporaryFolder();
  await writeFile(at('e.json'), JSON.stringify(signed.execution));
  await writeFile(at('j.json'), JSON.stringify(signed.job));
});
afterEach(() => folder[Symbol.asyncDispose]());

const at = (name: string): string => path.join(folder.path, name);

async function exportFrom(...argv: string[]) {
  const io = recordedIo({ cwd: folder.path });
  const code = await main(['export', ...argv, '--vkey', vkey], io);
  return { code, out: io.out(), err: io.err() };
}

test('of an execution it writes receipt, envelope, entry and proof byte for byte', async () => {
  const { receipt, dsse, leaf, tlog_proof: proof } = signed.execution;
  const forms = { document: receipt, dsse, leaf, 'tlog-proof': proof };
  for (const [form, bytes] of Object.entries(forms)) {
    expect(await exportFrom('e.json', `--${form}`), form).toEqual({ code: 0, out: bytes, err: '' });
  }
});

test('of a job it writes its summary', async () => {
  const { out } = await exportFrom('j.json', '--document');
  expect(out).toBe(signed.job.summary.summary);
  const bundle = JSON.parse((await exportFrom('j.json', '--sigstore')).out);
  const statement = JSON.parse(Buffer.from(bundle.dsseEnvelope.payload, 'base64').toString());
  expect(statement.subject[0].digest.sha256).toBe(createHash('sha256').update(out).digest('hex'));
});

test('the trusted root names the key that was trusted, the PEM the one that signed', async () => {
  const root = JSON.parse((await exportFrom('e.json', '--trusted-root')).out);
  expect(root.tlogs).toHaveLength(1);
  const raw = Buffer.from(root.tlogs[0].publicKey.rawBytes, 'base64');
  expect(vkey).toContain(Buffer.concat([Buffer.of(1), raw.subarray(-32)]).toString('base64'));
  const { out } = await exportFrom('e.json', '--public-key');
  expect(out.replace(/-----[^-]+-----|\n/g, '')).toBe(Buffer.from(signed.receiptKey.spki).toString('base64'));
});

test('while two keys sign, the bundle names the newest that is trusted', async () => {
  const next = generateLogKey();
  const both = await signed.remade({ checkpointBy: [signed.logKey, next] });
  await writeFile(at('both.json'), JSON.stringify(both));
  const idOf = async (...argv: string[]) =>
    String(
      JSON.parse((await exportFrom('both.json', ...argv)).out).verificationMaterial.tlogEntries[0].logId
        .keyId,
    );
  const old = await idOf('--sigstore');
  vkey = formatVkey(next.signerFor('beacon.test/log'));
  const later = await idOf('--sigstore');
  vkey = signed.trust.vkeys[0]!;
  expect(later).not.toBe(old);
});

test('a file is named in JSON, and what does not verify is not written', async () => {
  expect(JSON.parse((await exportFrom('e.json', 'out', '--leaf', '--json')).out)).toEqual({
    format: 'leaf',
    file: 'out',
    bytes: Buffer.byteLength(signed.execution.leaf),
  });
  expect(await readFile(at('out'), 'utf8')).toBe(signed.execution.leaf);
  await writeFile(at('bad.json'), JSON.stringify({ ...signed.execution, leaf: `${signed.execution.leaf} ` }));
  const { code, out, err } = await exportFrom('bad.json', 'none', '--leaf');
  expect([code, out]).toEqual([1, '']);
  expect(err).toContain('breaks at leaf');
  await expect(readFile(at('none'))).rejects.toThrow('ENOENT');
});

test('exactly one form is asked for', async () => {
  expect(await exportFrom('e.json')).toMatchObject({ code: 2, err: expect.stringContaining('--tlog-proof') });
  expect(await exportFrom('e.json', '--leaf', '--dsse')).toMatchObject({ code: 2 });
});
