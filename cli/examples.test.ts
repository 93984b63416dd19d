import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { canonicalJson } from '../domain/json/jcs.ts';
import { nodeSha256 } from '../attestation/keys/node-verifiers.ts';
import { toHex, utf8 } from '../domain/encoding.ts';
import { recordedIo } from '../test/support/recorded-io.ts';
import { temporaryFolder } from '../test/support/temporary-folder.ts';
import { main } from './command-line.ts';

const examples = path.join(import.meta.dirname, '..', 'examples');

test.each([
  ['three-regions.json', 6],
  ['minimal.json', 1],
  ['golem-regions.json', 18],
])('%s can be signed as it is and plans %i executions', async (name, executions) => {
  await using folder = await temporaryFolder();
  const run = async (...argv: string[]) => {
    const io = recordedIo({ cwd: folder.path });
    expect([argv, await main(argv, io), io.err()]).toEqual([argv, 0, expect.anything()]);
    return io.out();
  };
  await run('sign', path.join(examples, name), 'signed.json', '--throwaway');
  expect(JSON.parse(await run('submit', 'signed.json', '--dry-run', '--json'))).toMatchObject({ executions });
});

test.each(['three-regions.json', 'minimal.json', 'golem-regions.json'])(
  'the input hash of %s is that of its input',
  async (name) => {
    const spec = JSON.parse(await readFile(path.join(examples, name), 'utf8')) as {
      benchmark: { input: { data: unknown; hash: string } };
    };
    const { data, hash } = spec.benchmark.input;
    expect(hash).toBe(`sha256:${toHex(nodeSha256(utf8(canonicalJson(data))))}`);
  },
);
