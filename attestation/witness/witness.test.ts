import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  formatAddCheckpoint,
  parseAddCheckpoint,
  type CosignedHead,
} from '../../domain/log/add-checkpoint.ts';
import { signCheckpoint } from '../../domain/log/checkpoint.ts';
import { cosignerKey, type CosignatureSigner } from '../../domain/log/cosignature.ts';
import { Frontier } from '../../domain/log/frontier.ts';
import { treeHash } from '../../domain/log/hash.ts';
import { rangeOfNode, subtreeRoot } from '../../domain/log/tile.ts';
import { consistencyFolds, readFolds, type Node } from '../../domain/log/tree.ts';
import { utf8 } from '../../domain/encoding.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { generateLogKey } from '../keys/log-key.ts';
import { nodeSha256 } from '../keys/node-verifiers.ts';
import { readCosignatures } from '../log/cosignatures.ts';
import { folderMemory, type WitnessMemory } from './memory.ts';
import { createWitness, type Witness } from './witness.ts';

const hash = treeHash(nodeSha256);
const origin = 'beacon.test/log';
const logKey = generateLogKey().signerFor(origin);
const key = generateLogKey();
const signer: CosignatureSigner = {
  ...cosignerKey('witness.test/w', key.publicKey, nodeSha256),
  sign: key.sign,
};
const NOW = 1_770_000_000;

/** A log in memory: `fork` changes what it holds from that index on. */
function tree(count: number, fork = Infinity) {
  const leaves = Array.from({ length: count }, (_, i) =>
    hash.leaf(utf8(`${i}${i >= fork ? ' forked' : ''}`)),
  );
  const rootAt = (size: number) => {
    const frontier = Frontier.empty(hash);
    for (const leaf of leaves.slice(0, size)) frontier.append(leaf);
    return frontier.root();
  };
  const read = (nodes: readonly Node[]) =>
    Promise.resolve(
      nodes.map((node) => {
        const { start, count: width } = rangeOfNode(node);
        return subtreeRoot(Buffer.concat(leaves.slice(start, start + width)), hash);
      }),
    );
  return {
    rootAt,
    async request(oldSize: number, size: number, signed = logKey): Promise<string> {
      const proof =
        oldSize === 0 || oldSize >= size ? [] : await readFolds(consistencyFolds(oldSize, size), hash, read);
      const checkpoint = await signCheckpoint({ origin: signed.name, size, root: rootAt(size) }, [signed]);
      return formatAddCheckpoint({ oldSize, proof, checkpoint });
    },
  };
}

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let memory: WitnessMemory;
let witness: Witness;
const start = () => createWitness({ memory, signer, keys: () => [logKey], now: () => NOW * 1_000 });

beforeEach(async () => {
  folder = await temporaryFolder();
  memory = folderMemory(path.join(folder.path, 'witness'));
  witness = start();
});
afterEach(() => folder[Symbol.asyncDispose]());

const cosigns = async (request: string): Promise<void> => {
  const { checkpoint } = parseAddCheckpoint(request);
  const lines = readCosignatures(checkpoint, await witness.addCheckpoint(request), [signer]);
  expect(lines).toMatchObject([{ cosigner: signer.name, signedAt: new Date(NOW * 1_000) }]);
};
const refuses = (request: string, refusal: object) =>
  expect(witness.addCheckpoint(request)).rejects.toMatchObject(refusal);
const whole = tree(250);

describe('a witness', () => {
  it('cosigns what continues what it cosigned before, also after a restart, and the same again', async () => {
    await cosigns(await whole.request(0, 3));
    await cosigns(await whole.request(3, 129));
    witness = start();
    await cosigns(await whole.request(129, 129));
    await cosigns(await whole.request(129, 250));
    expect(await memory.read(origin)).toEqual({ size: 250, root: new Uint8Array(whole.rootAt(250)) });
  });

  it('begins with an empty log', async () => {
    await cosigns(await whole.request(0, 0));
    await cosigns(await whole.request(0, 5));
  });

  it('answers a conflict with the size that it knows', async () => {
    await cosigns(await whole.request(0, 150));
    await refuses(await whole.request(0, 190), { code: 'conflict', size: 150 });
    await refuses(await whole.request(120, 190), { code: 'conflict', size: 150 });
    await refuses(await whole.request(60, 120), { code: 'conflict', size: 150 });
    await cosigns(await whole.request(150, 190));
  });

  it('never cosigns a fork, and stays where it was', async () => {
    await cosigns(await whole.request(0, 150));
    const forked = tree(250, 149);
    await refuses(await forked.request(150, 150), { code: 'conflict', size: 150 });
    await refuses(await forked.request(150, 151), { code: 'inconsistent' });
    await refuses(await tree(250, 0).request(150, 250), { code: 'inconsistent' });
    await cosigns(await tree(250, 150).request(150, 250));
  });

  it('does not know other logs, other keys, and signatures that do not hold', async () => {
    const other = generateLogKey();
    await refuses(await whole.request(0, 3, other.signerFor('other.test/log')), { code: 'unknown_origin' });
    await refuses(await whole.request(0, 3, other.signerFor(origin)), { code: 'unsigned' });
    const request = await whole.request(0, 3);
    await refuses(request.replace('\n3\n', '\n4\n'), { code: 'unsigned' });
    expect(await memory.read(origin)).toBeUndefined();
  });

  it('refuses what is no request, whatever it is', async () => {
    const request = await whole.request(3, 129);
    await refuses(request.replace('old 3', 'old 03'), { code: 'malformed' });
    await refuses(request.replace('old 3', 'old 999'), { code: 'malformed' });
    await refuses(request.replace('old 3\n', `old 3\n${'AAAA\n'.repeat(64)}`), { code: 'malformed' });
    await refuses('', { code: 'malformed' });
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 200 }), async (text) => {
        await refuses(text, { code: 'malformed' });
      }),
      { numRuns: 200 },
    );
    await fc.assert(
      fc.asyncProperty(fc.nat(request.length - 1), fc.string({ maxLength: 2 }), async (at, text) => {
        const altered = request.slice(0, at) + text + request.slice(at + 1);
        if (altered !== request) await expect(witness.addCheckpoint(altered)).rejects.toThrow();
      }),
      { numRuns: 150 },
    );
  });

  it('does one request of a log after the other: of many at once each follows the one before', async () => {
    const slow: WitnessMemory = {
      read: (name) => memory.read(name),
      async write(name, head: CosignedHead, checkpoint) {
        // All others have read by then, if they may.
        await setImmediate();
        await memory.write(name, head, checkpoint);
      },
    };
    witness = createWitness({ memory: slow, signer, keys: () => [logKey] });
    const sizes = Array.from({ length: 20 }, (_, i) => 250 - i);
    const requests = await Promise.all(sizes.map((size) => whole.request(0, size)));
    const ends = await Promise.allSettled(requests.map((request) => witness.addCheckpoint(request)));
    expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect((await memory.read(origin))?.size).toBe(250);
  });

  it('does nothing when its memory cannot be read, or not be written', async () => {
    await cosigns(await whole.request(0, 3));
    const [name] = await readdir(path.join(folder.path, 'witness'));
    const file = path.join(folder.path, 'witness', name!);
    const good = await readFile(file, 'utf8');
    for (const bad of ['', '{}', good.replace(origin, 'x'), good.slice(0, -5)]) {
      await writeFile(file, bad);
      await expect(witness.addCheckpoint(await whole.request(3, 5))).rejects.toThrow('last');
    }
    await writeFile(file, good);
    memory = {
      read: (of) => folderMemory(path.join(folder.path, 'witness')).read(of),
      write: () => Promise.reject(new Error('disk full')),
    };
    witness = start();
    await expect(witness.addCheckpoint(await whole.request(3, 5))).rejects.toThrow('disk full');
  });
});
