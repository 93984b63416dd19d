import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseStrictJson } from '../../domain/json/parse.ts';
import { LIMITS } from '../../domain/limits.ts';
import { signedJob, testKey } from '../../test/support/api.ts';
import { createSpecVerifier, type SpecVerifier } from './spec-verifier.ts';

const root = path.join(import.meta.dirname, '../..');
/** Below `node_modules`, where the compiled thread finds its packages. */
const out = path.join(root, 'node_modules', '.cache', `beacon-verify-worker-${process.pid}`);
let verifier: SpecVerifier;

beforeAll(async () => {
  await mkdir(out, { recursive: true });
  await writeFile(path.join(out, 'package.json'), '{"type":"module"}');
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(path.join(root, 'tsconfig.build.json'), (file) => ts.sys.readFile(file)).config,
    ts.sys,
    root,
  );
  const entry = path.join(import.meta.dirname, 'verify-worker.ts');
  ts.createProgram([entry], Object.assign(options, { outDir: out, noCheck: true })).emit();
  verifier = createSpecVerifier({ workerUrl: pathToFileURL(path.join(out, 'api/intake/verify-worker.js')) });
});
afterAll(async () => {
  await verifier[Symbol.asyncDispose]();
  await rm(out, { recursive: true, force: true });
});

const key = testKey();
const bytesOf = (spec: object) => Buffer.from(JSON.stringify(spec));
const large = () => signedJob(key, { padding: 'x'.repeat(LIMITS.specVerifiedInlineBytes) });
const verify = (raw: Buffer) => verifier.verify(raw, parseStrictJson(raw));

describe('a spec above 64 KiB', () => {
  test('is verified in the thread to the same result as in line', async () => {
    const raw = bytesOf(large());
    const here = await createSpecVerifier({ workerUrl: null }).verify(raw, parseStrictJson(raw));
    const there = await verify(raw);
    expect({ ...there, message: Buffer.from(there.message) }).toEqual({
      ...here,
      message: Buffer.from(here.message),
    });
  });

  test('that is not what was signed is refused with its code', async () => {
    await expect(verify(bytesOf({ ...large(), version: '9' }))).rejects.toMatchObject({
      code: 'signature_mismatch',
    });
    await expect(verify(bytesOf({ ...large(), signature: 'AAAA' }))).rejects.toMatchObject({
      code: 'invalid_encoding:public_key',
      details: { field: 'signature' },
    });
  });

  test('waits behind fifteen others, the next is told to come back, small ones pass by', async () => {
    const raw = bytesOf(large());
    const answers = Array.from({ length: 16 }, () => verify(raw));
    await expect(verify(raw)).rejects.toMatchObject({ code: 'intake_busy', status: 429 });
    const small = bytesOf(signedJob(key));
    expect(await verify(small)).toMatchObject({ publicKey: key.text });
    expect(await Promise.all(answers)).toHaveLength(16);
    expect(await verify(raw)).toMatchObject({ publicKey: key.text });
  });
});

test('a thread that ends loses what it had with a fault of ours, and the next spec gets another one', async () => {
  const file = path.join(out, 'ends.js');
  await writeFile(
    file,
    `import { parentPort } from 'node:worker_threads'; parentPort.on('message', () => process.exit(1));`,
  );
  const broken = createSpecVerifier({ workerUrl: pathToFileURL(file) });
  const raw = bytesOf(large());
  for (let i = 0; i < 2; i++) {
    await expect(broken.verify(raw, parseStrictJson(raw))).rejects.toMatchObject({ code: 'internal_error' });
  }
  await broken[Symbol.asyncDispose]();
});
