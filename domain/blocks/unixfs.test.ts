import { createCipheriv, createHash } from 'node:crypto';
import { importer, importBytes, type ImportResult, type WritableStorage } from 'ipfs-unixfs-importer';
import { CID } from 'multiformats/cid';
import { describe, expect, test } from 'vitest';
import { cidOfDigest } from '../receipt/cid.ts';
import { directoryDag, fileDag, type DirectoryEntry, type Leaf } from './unixfs.ts';

const MIB = 1024 * 1024;
const profile = 'unixfs-v1-2025';
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest();
const sink: WritableStorage = { put: (cid) => cid };

/** The byte stream of IPIP-499's vectors: the ChaCha20 keystream under SHA-256 of the seed, in chunks of 1 MiB. */
function* keystream(seed: string, size: number): Generator<Buffer> {
  const cipher = createCipheriv('chacha20', createHash('sha256').update(seed).digest(), Buffer.alloc(16));
  const zeros = Buffer.alloc(MIB);
  for (let left = size; left > 0; left -= MIB) yield cipher.update(zeros.subarray(0, Math.min(left, MIB)));
}

function leavesOf(chunks: Iterable<Uint8Array>): Leaf[] {
  return Array.from(chunks, (chunk) => ({ cid: cidOfDigest(sha256(chunk)), size: chunk.length }));
}

describe('a file', () => {
  // Vectors of IPIP-499 for this profile, as Kubo's tests name them.
  test('of one block is that block', async () => {
    const dag = await fileDag(leavesOf([Buffer.from('hello world')]));
    expect(dag).toEqual({
      cid: 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e',
      size: 11,
      nodes: [],
    });
  });

  test('at and above the most links that a node has is as the vectors say', async () => {
    const leaves = leavesOf(keystream('v1-2025-seed', 1_025 * MIB));
    const at = await fileDag(leaves.slice(0, 1_024));
    expect([at.cid, at.nodes.length]).toEqual([
      'bafybeihmf37wcuvtx4hpu7he5zl5qaf2ineo2lqlfrapokkm5zzw7zyhvm',
      1,
    ]);
    const above = await fileDag(leaves);
    expect([above.cid, above.nodes.length]).toEqual([
      'bafybeihmzokxxjqwxjcryerhp5ezpcog2wcawfryb2xm64xiakgm4a5jue',
      3,
    ]);
  }, 60_000);

  test.each([0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 7])(
    'of %i bytes made from its leaves is the one made from its bytes',
    async (size) => {
      const bytes = Buffer.concat([...keystream('any', size)]);
      const whole = await importBytes(bytes, sink, { profile });
      const chunks = size === 0 ? [bytes] : [...keystream('any', size)];
      const dag = await fileDag(leavesOf(chunks));
      expect([dag.cid, dag.size]).toEqual([whole.cid.toString(), Number(whole.size)]);
      for (const { cid, bytes } of dag.nodes)
        expect(CID.parse(cid).multihash.digest).toEqual(new Uint8Array(sha256(bytes)));
    },
  );
});

describe('a directory', () => {
  const files = (count: number, lastName: number): { path: string; content: Uint8Array }[] =>
    Array.from({ length: count }, (_, i) => ({
      path: String(i).padStart(i === count - 1 ? lastName : 11, 'f'),
      content: Buffer.from('x'),
    }));
  const entries = async (contents: ReturnType<typeof files>): Promise<DirectoryEntry[]> =>
    Promise.all(
      contents.map(async ({ path, content }) => ({
        path,
        cid: (await importBytes(content, sink, { profile })).cid.toString(),
        size: content.length,
      })),
    );
  const imported = async (contents: ReturnType<typeof files>) => {
    let root: ImportResult | undefined;
    for await (const made of importer(contents, sink, { profile, wrapWithDirectory: true })) root = made;
    return { cid: root!.cid.toString(), size: Number(root!.size) };
  };

  test('made from CIDs is the one made from files, whatever their order', async () => {
    const contents = [
      { path: 'manifest.json', content: Buffer.from('{}') },
      { path: 'executions/a/files/large.bin', content: Buffer.concat([...keystream('large', 2 * MIB + 1)]) },
      { path: 'executions/a/output', content: Buffer.from('') },
      { path: 'executions/b/output', content: Buffer.from('yes') },
    ];
    const { cid, size, nodes } = await directoryDag(await entries(contents));
    expect({ cid, size }).toEqual(await imported(contents));
    // The root, executions, a, a/files, b.
    expect(nodes).toHaveLength(5);
    expect((await directoryDag((await entries(contents)).reverse())).cid).toBe(cid);
  });

  test('is one block up to 256 KiB, and shards above', async () => {
    // Names and sizes as in the vectors of IPIP-499: exactly at the threshold, and one byte above.
    for (const [lastName, isSharded] of [
      [21, false],
      [22, true],
    ] as const) {
      const contents = files(4_766, lastName);
      const { cid, nodes } = await directoryDag(await entries(contents));
      expect(cid).toBe((await imported(contents)).cid);
      expect(nodes.length > 1).toBe(isSharded);
      if (!isSharded) expect(nodes[0]!.bytes).toHaveLength(256 * 1024);
    }
  }, 60_000);
});
