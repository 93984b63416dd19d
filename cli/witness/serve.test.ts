import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { generateLogKey } from '../../attestation/keys/log-key.ts';
import { nodeSha256 } from '../../attestation/keys/node-verifiers.ts';
import { readCosignatures } from '../../attestation/log/cosignatures.ts';
import { formatAddCheckpoint } from '../../domain/log/add-checkpoint.ts';
import { signCheckpoint } from '../../domain/log/checkpoint.ts';
import { parseCosignerVkey } from '../../domain/log/cosignature.ts';
import { treeHash } from '../../domain/log/hash.ts';
import { utf8 } from '../../domain/encoding.ts';
import { formatVkey, type NoteKey } from '../../domain/log/vkey.ts';
import { eventually } from '../../test/support/eventually.ts';
import { recordedIo } from '../../test/support/recorded-io.ts';
import { main } from '../command-line.ts';

const hash = treeHash(nodeSha256);
const [one, two] = [generateLogKey().signerFor('one.test/log'), generateLogKey().signerFor('two.test/log')];
const leaf = (text: string) => hash.leaf(utf8(text));
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'beacon-witness-'));
});
afterEach(() => rm(folder, { recursive: true }));

const words = (...more: string[]) => [
  ...['witness', '--name', 'witness.test/w', '--listen', '127.0.0.1:0', '--json', '--state', folder],
  ...more,
];

/** The command as it runs until it is interrupted. */
async function running(...more: string[]) {
  const io = recordedIo({ cwd: folder });
  const ended = main(words(...more), io);
  const out = await eventually(() => (io.out() === '' ? undefined : io.out()));
  const { vkey, url, logs } = JSON.parse(out) as { vkey: string; url: string; logs: string[] };
  return {
    vkey,
    logs,
    async post(body: string) {
      const response = await fetch(`${url}/add-checkpoint`, { method: 'POST', body });
      return {
        status: response.status,
        type: response.headers.get('content-type'),
        text: await response.text(),
      };
    },
    url,
    async [Symbol.asyncDispose]() {
      io.interrupt();
      expect(await ended).toBe(0);
    },
  };
}

const checkpoint = (size: number, root: Uint8Array, signer = one) =>
  signCheckpoint({ origin: signer.name, size, root }, [signer]);
const first = () => checkpoint(1, leaf('a'));
const request = (oldSize: number, note: string, ...proof: Uint8Array[]) =>
  formatAddCheckpoint({ oldSize, proof, checkpoint: note });
const vkey = (key: NoteKey) => formatVkey(key);

describe('beacon witness', () => {
  test('answers as tlog-witness says, and remembers after a restart', async () => {
    let mine: string;
    {
      await using witness = await running('--log', vkey(one));
      mine = witness.vkey;
      const note = await first();
      const cosigned = await witness.post(request(0, note));
      expect(cosigned.status).toBe(200);
      expect(readCosignatures(note, cosigned.text, [parseCosignerVkey(mine, nodeSha256)])).toHaveLength(1);
      const statusOf = async (body: string) => (await witness.post(body)).status;
      expect(await statusOf(request(0, await checkpoint(1, leaf('a'), two)))).toBe(404);
      expect(await statusOf(request(0, note.replace('one.test/log AA', 'one.test/log AB')))).toBeGreaterThan(
        399,
      );
      expect(await statusOf('old x')).toBe(400);
      expect(await statusOf(request(1, await checkpoint(2, leaf('x')), leaf('b')))).toBe(422);
      expect(await statusOf(`old 0\n\n${'x'.repeat(100_000)}`)).toBe(413);
      expect((await fetch(`${witness.url}/add-checkpoint`)).status).toBe(405);
      expect((await fetch(`${witness.url}/other`)).status).toBe(404);
      expect((await fetch(`${witness.url}/health/live`)).status).toBe(200);
    }
    await using witness = await running('--log', vkey(one));
    expect(witness.vkey).toBe(mine);
    const again = await witness.post(request(0, await checkpoint(2, hash.node(leaf('a'), leaf('b')))));
    expect(again).toEqual({ status: 409, type: 'text/x.tlog.size', text: '1\n' });
    const next = await checkpoint(2, hash.node(leaf('a'), leaf('b')));
    expect((await witness.post(request(1, next, leaf('b')))).status).toBe(200);
  });

  test('takes logs from a policy, and new ones when the file changes', async () => {
    const policy = path.join(folder, 'logs.policy');
    await writeFile(policy, `log ${vkey(one)}\nquorum none\n`);
    await using witness = await running('--policy', policy);
    expect(witness.logs).toEqual(['one.test/log']);
    const body = request(0, await checkpoint(1, leaf('a'), two));
    expect((await witness.post(body)).status).toBe(404);
    await writeFile(policy, `log ${vkey(one)}\nlog ${vkey(two)}\nquorum none\n`);
    expect((await witness.post(body)).status).toBe(200);
  });

  test('does not start twice on one memory, nor without the memory of its key', async () => {
    const start = async (...more: string[]) => {
      const io = recordedIo({ cwd: folder });
      return { code: await main(words(...more), io), err: io.err() };
    };
    {
      await using _witness = await running('--log', vkey(one));
      const twice = await start('--log', vkey(one));
      expect([twice.code, twice.err]).toEqual([1, expect.stringContaining('runs in')]);
    }
    await rm(path.join(folder, 'witness', 'cosigned'), { recursive: true });
    const lost = await start('--log', vkey(one));
    expect([lost.code, lost.err]).toEqual([
      2,
      expect.stringContaining('nobody knows what this key cosigned'),
    ]);
    expect(await readFile(path.join(folder, 'witness', 'keys', 'witness.pem'), 'utf8')).toContain('PRIVATE');
  });

  test.each<[string[], string]>([
    [[], 'no log to watch'],
    [['--log', 'x+y+z'], '--log x+y+z'],
    [['--policy', 'none.policy'], 'none.policy: no such file'],
    [['--log', vkey(one), '--listen', 'nowhere'], 'is no host:port'],
    [['--log', vkey(one), '--name', 'a b'], 'white space'],
  ])('%j is wrong usage', async (more, reason) => {
    const io = recordedIo({ cwd: folder });
    expect([await main(words(...more), io), io.err()]).toEqual([2, expect.stringContaining(reason)]);
  });
});
