import { chmod, cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCommand } from '../../embedded/command.ts';
import { signedJob, testApi, testKey, type TestApi } from '../support/api.ts';
import { attestedLog, type AttestedLog } from '../support/attested.ts';
import { goProgram } from '../support/go-program.ts';
import { describeNeeding } from '../support/needing.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { codeOf } from './docs.ts';

const CHECKOUT = path.join(import.meta.dirname, '../..');
const cosign = await goProgram('cosign');
const spicy = await goProgram('torchwood');
const openssl = await missingOf(['openssl', 'sha256sum', 'base64', 'jq', 'xxd']);

let api: TestApi;
let log: AttestedLog;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  folder = await temporaryFolder();
  api = await testApi();
  log = await attestedLog(api.db);
  const submit = async () => (await api.post(signedJob(testKey(), { questions: [] }))).json.id as string;
  const jobs = [await submit(), await submit()];
  for (const job of jobs) await log.endJob(job);
  log.startSequencing();
  await log.sizeReaches(9);
  const url = await api.app.listen({ host: '127.0.0.1', port: 0 });

  const bin = path.join(folder.path, 'bin');
  await mkdir(bin);
  await writeFile(path.join(bin, 'beacon'), `#!/bin/sh\nexec node ${CHECKOUT}/bin/beacon.js "$@"\n`);
  await chmod(path.join(bin, 'beacon'), 0o755);
  if (cosign.missing === null) await symlink(cosign.path, path.join(bin, 'cosign'));
  if (spicy.missing === null) await symlink(spicy.path, path.join(bin, 'spicy'));
  await symlink(path.join(CHECKOUT, 'node_modules'), path.join(folder.path, 'node_modules'));
  env = {
    ...process.env,
    HOME: folder.path,
    PATH: `${bin}:${process.env.PATH}`,
    BEACON_API: url,
    VKEY: (await api.get('/api/v1/transparency/root')).json.vkey as string,
    EXECUTION: `${jobs[1]}#2`,
  };
  await mkdir(path.join(folder.path, 'files'));
  const got = await sh((await codeOf('The files')).sh, 'files');
  expect(got.code, got.output).toBe(0);
  await writeFile(path.join(folder.path, 'files', 'check.mjs'), (await codeOf('@sigstore/verify')).js);
});
afterAll(async () => {
  await log[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

function sh(script: string, cwd: string) {
  return runCommand('sh', ['-euc', script], {
    cwd: path.join(folder.path, cwd),
    env,
    timeoutMs: 60_000,
  });
}

type Change = (file: (name: string) => string) => Promise<unknown>;
const AS_IT_IS: Change = () => Promise.resolve();

/** Runs a section of docs/verify.md on a copy of the files, after `change` was done to it. */
let copies = 0;
async function run(section: string, change: Change) {
  const copy = `copy-${++copies}`;
  await cp(path.join(folder.path, 'files'), path.join(folder.path, copy), { recursive: true });
  await change((name) => path.join(folder.path, copy, name));
  return sh((await codeOf(section)).sh, copy);
}

const edit =
  (name: string, pattern: RegExp, by: (found: string) => string): Change =>
  async (file) => {
    const text = await readFile(file(name), 'utf8');
    const changed = text.replace(pattern, (whole, found: string) => whole.replace(found, by(found)));
    expect(changed).not.toBe(text);
    await writeFile(file(name), changed);
  };
const turn = (base64: string) => `${base64[0] === 'A' ? 'B' : 'A'}${base64.slice(1)}`;
const plusOne = (text: string) => String(Number(text) + 1);

const document: [string, Change] = [
  'another receipt',
  edit('receipt.json', /"salt":"(\w+)"/, (salt) => salt.replace(/^./, (c) => (c === '0' ? '1' : '0'))),
];
const SIGSTORE: [string, Change][] = [
  document,
  ['another payload', edit('receipt.sigstore.json', /"payload": "([^"]+)"/, turn)],
  ['another signature', edit('receipt.sigstore.json', /"sig": "[^"]{20}([^"]+)"/, turn)],
  ['another proof', edit('receipt.sigstore.json', /"hashes": \[\s+"([^"]+)"/, turn)],
  ['another root', edit('receipt.sigstore.json', /\\n\d+\\n([^\\]+)\\n/, turn)],
  [
    'another entry',
    edit(
      'receipt.sigstore.json',
      /"canonicalizedBody": "([^"]+)"/,
      (body) => `${body.slice(0, -8)}${turn(body.slice(-8))}`,
    ),
  ],
  ['another checkpoint', edit('receipt.sigstore.json', /\\n(\d+)\\n/, plusOne)],
  ['another log key', edit('root.json', /"rawBytes": "[^"]{20}([^"]+)"/, turn)],
];

describeNeeding('cosign', cosign.missing, () => {
  test('accepts what docs/verify.md gives it', async () => {
    const { code, output } = await run('cosign', AS_IT_IS);
    expect(output).toContain('Verified OK');
    expect(code).toBe(0);
  });

  test.each(SIGSTORE)('refuses %s', async (_what, change) => {
    expect((await run('cosign', change)).code).not.toBe(0);
  });

  test('refuses an index that stands there in two ways', async () => {
    const change = edit('receipt.sigstore.json', /"logIndex": "(\d+)"/, plusOne);
    expect((await run('cosign', change)).code).not.toBe(0);
  });
});

describe(`@sigstore/verify on Node ${process.versions.node}`, () => {
  test('accepts what docs/verify.md gives it', async () => {
    const { code, output } = await run('@sigstore/verify', AS_IT_IS);
    expect(output).toContain('receipt.json: OK');
    expect(code).toBe(0);
  });

  test.each(SIGSTORE)('refuses %s', async (_what, change) => {
    expect((await run('@sigstore/verify', change)).code).not.toBe(0);
  });
});

const PROOF: [string, Change][] = [
  ['another proof', edit('leaf.tlog-proof', /index \d+\n([^\n]+)\n/, turn)],
  ['another index', edit('leaf.tlog-proof', /index (\d+)\n/, plusOne)],
  ['another size', edit('leaf.tlog-proof', /\n\n[^\n]+\n(\d+)\n/, plusOne)],
  ['another root', edit('leaf.tlog-proof', /\n\n[^\n]+\n\d+\n([^\n]+)\n/, turn)],
  ['another checkpoint signature', edit('leaf.tlog-proof', /\n— \S+ \S{10}(\S+)\n/, turn)],
  ['a proof without one of its hashes', edit('leaf.tlog-proof', /index \d+\n([^\n]+\n)/, () => '')],
  ['another entry', edit('leaf.json', /"digest":"([^"]+)"/, turn)],
];

describeNeeding('spicy', spicy.missing, () => {
  test('accepts what docs/verify.md gives it', async () => {
    const { code, output } = await run('spicy', AS_IT_IS);
    expect(output).toContain('verified');
    expect(code).toBe(0);
  });

  test.each(PROOF)('refuses %s', async (_what, change) => {
    expect((await run('spicy', change)).code).not.toBe(0);
  });
});

describeNeeding('openssl and sha256sum', openssl, () => {
  test('accept what docs/verify.md gives them', async () => {
    const { code, output } = await run('openssl and sha256sum', AS_IT_IS);
    expect(output).toContain('Verified OK');
    expect(output).toContain('receipt.json: OK');
    expect(output).toContain('Signature Verified Successfully');
    expect(code, output).toBe(0);
  });

  test.each([
    ...PROOF,
    document,
    ['another payload', edit('envelope.json', /"payload":"([^"]+)"/, turn)] as [string, Change],
    ['another signature', edit('envelope.json', /"sig":"[^"]{20}([^"]+)"/, turn)] as [string, Change],
  ])('refuse %s', async (_what, change) => {
    expect((await run('openssl and sha256sum', change)).code).not.toBe(0);
  });
});

async function missingOf(programs: readonly string[]): Promise<string | null> {
  const asked = await Promise.all(
    programs.map(async (program) => {
      const { code } = await runCommand('sh', ['-c', `command -v ${program}`], { timeoutMs: 10_000 });
      return code === 0 ? [] : [program];
    }),
  );
  const missing = asked.flat();
  return missing.length === 0 ? null : `${missing.join(', ')} not found`;
}
