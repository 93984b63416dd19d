import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LIMITS } from '../../domain/limits.ts';
import { signedJob, testKey } from '../../test/support/api.ts';
import { ApiError } from '../errors.ts';
import type { SpecFacts } from './read-spec.ts';
import { createSpecVerifier, type CheckedBody, type SpecVerifier } from './spec-verifier.ts';

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
const taking = {
  network: '10.0.0.1',
  begin: () => undefined,
  admit: () => undefined,
  refused: () => undefined,
};
const check = (raw: Buffer, over: Partial<typeof taking> = {}) => verifier.check({ raw, ...taking, ...over });

describe('a large spec', () => {
  test('is read and verified in the thread to the same result as in line', async () => {
    const raw = bytesOf({ ...large(), metadata: undefined, models: [{ id: 'm', regions: ['EU'] }] });
    await using inLine = createSpecVerifier({ workerUrl: null });
    for (const body of [bytesOf(large()), raw]) {
      const answers = await Promise.allSettled([inLine.check({ raw: body, ...taking }), check(body)]);
      const [here, there] = answers.map((answer) =>
        answer.status === 'rejected' ? asPlain(answer.reason as ApiError) : plainBytes(answer.value),
      );
      expect(there).toEqual(here);
    }
  });

  test.each([
    ['a changed one', () => bytesOf({ ...large(), version: '9' }), { code: 'signature_mismatch' }],
    [
      'a short signature',
      () => bytesOf({ ...large(), signature: 'AAAA' }),
      { code: 'invalid_encoding:public_key', details: { field: 'signature' } },
    ],
    [
      'a wrong shape',
      () => bytesOf({ ...large(), constraints: { regions: ['MOON'] } }),
      { code: 'validation_error', details: { field: 'constraints.regions[0]' } },
    ],
    [
      'no JSON',
      () => Buffer.concat([bytesOf(large()), Buffer.from('}')]),
      { code: 'invalid_json', details: { reason: 'syntax' } },
    ],
  ])('is refused with the code of its fault: %s', async (_name, body, refusal) => {
    await expect(check(body())).rejects.toMatchObject({ status: 400, ...refusal });
  });

  test('that is not admitted is not verified, and the next one is', async () => {
    const refusal = new ApiError('trust_violation:unknown');
    const raw = bytesOf({ ...large(), version: '9' });
    const refuse = (facts?: SpecFacts) => {
      expect(facts).toMatchObject({ publicKey: key.text });
      throw refusal;
    };
    await expect(check(raw, { admit: refuse })).rejects.toBe(refusal);
    expect(await check(bytesOf(large()))).toMatchObject({ facts: { publicKey: key.text } });
  });

  test('waits for its turn: one of each network before the second of any', async () => {
    const order: string[] = [];
    const body = (network: string, name: string) =>
      check(bytesOf(large()), { network, begin: () => void order.push(name) });
    await Promise.all([body('a', 'a1'), body('a', 'a2'), body('a', 'a3'), body('b', 'b1'), body('c', 'c1')]);
    // The first began at once, before the others came.
    expect(order).toEqual(['a1', 'a2', 'b1', 'c1', 'a3']);
  });

  test('that is refused when its turn comes costs the thread nothing', async () => {
    const begin = () => {
      throw new ApiError('rate_limit_exceeded');
    };
    await using unused = createSpecVerifier({ workerUrl: new URL('file:///no/such/thread.js') });
    await expect(unused.check({ raw: bytesOf(large()), ...taking, begin })).rejects.toMatchObject({
      code: 'rate_limit_exceeded',
    });
  });
});

describe('the thread', () => {
  test('that ends loses what it had with a fault of ours, and the next spec gets another one', async () => {
    await using broken = await withThread('parentPort.on("message", () => process.exit(1));');
    for (let i = 0; i < 2; i++) {
      await expect(broken.check({ raw: bytesOf(large()), ...taking })).rejects.toMatchObject({
        code: 'internal_error',
      });
    }
  });

  test('is ended when it takes too long, and the next spec gets another one', async () => {
    await using slow = await withThread(
      `parentPort.on('message', ({ read }) => {
        if (read?.[0] === 0x20) for (;;);
        parentPort.postMessage(read ? { facts: threadId } : { verified: threadId });
      });`,
      { limitMs: 3_000 },
    );
    const ask = (text: string) => slow.check({ raw: Buffer.from(text), ...taking });
    const [first, late, next] = await Promise.allSettled([ask('1'), ask(' '), ask('2')]);
    expect(first).toMatchObject({ status: 'fulfilled' });
    expect(late).toMatchObject({ reason: { code: 'verification_timeout', status: 503, retryAfterS: 2 } });
    expect(next).toMatchObject({ status: 'fulfilled' });
  });

  test('ends when nothing came for a while, and starts again', async () => {
    await using idle = await withThread(
      'parentPort.on("message", ({ verify }) => parentPort.postMessage(verify ? { verified: threadId } : { facts: threadId }));',
      { idleMs: 1 },
    );
    const ask = async () => (await idle.check({ raw: bytesOf(large()), ...taking })).verified;
    const first = await ask();
    await expect.poll(ask).not.toBe(first);
  });

  test('leaves nobody waiting when the service stops', async () => {
    const stopping = await withThread('parentPort.on("message", () => {});');
    const asked = Promise.allSettled([1, 2].map(() => stopping.check({ raw: bytesOf(large()), ...taking })));
    await stopping[Symbol.asyncDispose]();
    for (const answer of await asked) expect(answer).toMatchObject({ reason: { code: 'unavailable' } });
  });
});

let threads = 0;

/** A verifier whose thread does what `program` says. */
async function withThread(program: string, options: { limitMs?: number; idleMs?: number } = {}) {
  const file = path.join(out, `thread-${++threads}.js`);
  await writeFile(file, `import { parentPort, threadId } from 'node:worker_threads';\n${program}\n`);
  return createSpecVerifier({ workerUrl: pathToFileURL(file), ...options });
}

function asPlain({ code, message, details }: ApiError) {
  return { code, message, details };
}

/** Buffers and the arrays that come out of the thread compare as bytes. */
function plainBytes({ facts, verified }: CheckedBody) {
  const { form, messageSha256, requestSha256 } = verified;
  return {
    facts,
    form,
    hashes: [messageSha256, requestSha256].map((hash) => Buffer.from(hash).toString('hex')),
  };
}
