import { createHash } from 'node:crypto';
import { CarReader } from '@ipld/car';
import { decode } from '@ipld/dag-pb';
import { CID } from 'multiformats/cid';
import { carOf } from '../../attestation/blocks/car.ts';
import { DAG_PB, type Block } from '../../attestation/blocks/read-block.ts';
import { nodeSha256 } from '../../attestation/keys/node-verifiers.ts';
import { fromHex, toHex, utf8 } from '../../domain/encoding.ts';
import { LIMITS } from '../../domain/limits.ts';
import { EXECUTION_BUNDLE, parseBundle } from '../../domain/receipt/bundle.ts';
import { cidOfDigest } from '../../domain/receipt/cid.ts';
import { parseExecutionReceipt, type ExecutionReceipt } from '../../domain/receipt/execution-receipt.ts';
import { CliError } from '../failure.ts';
import type { ApiClient } from '../http/client.ts';
import { subjectOf } from './formats.ts';

/** All files of an execution, and what a CAR has around them. */
const CAR_BYTES = LIMITS.filesBytes + 16 * 1024 * 1024;

export interface Car {
  bytes: Uint8Array;
  roots: string[];
}

/**
 * The document of a verified bundle and its envelope as a CAR, each a root; with `client` also the output and the files of
 * an execution, as the gateway has them. They are what the receipt says, or nothing is written.
 */
export async function carOfBundle(bundle: Uint8Array, client: ApiClient | undefined): Promise<Car> {
  const parsed = parseBundle(bundle);
  const { document, link } = subjectOf(parsed);
  const documents = [document, link.dsse].map((text): Block => {
    const bytes = utf8(text);
    return { cid: CID.parse(cidOfDigest(nodeSha256(bytes))), bytes };
  });
  const trees: Tree[] = [];
  if (client !== undefined) {
    if (parsed.media_type !== EXECUTION_BUNDLE)
      throw new CliError('usage', '--files belongs to one execution', {
        next: 'beacon export <directory_cid> all.car --car writes everything of a job',
      });
    trees.push(...(await treesOf(parseExecutionReceipt(utf8(parsed.receipt)), client)));
  }
  const roots = [...documents.map(({ cid }) => cid), ...trees.map(({ root }) => root)];
  return written(roots, [...documents, ...trees.flatMap(({ blocks }) => [...blocks.values()])]);
}

/** Everything below a CID, as the gateway has it: checked block by block, by nothing else than the CID itself. */
export async function carOfCid(cid: CID, client: ApiClient): Promise<Car> {
  const { root, blocks } = await fetchTree(cid.toString(), client);
  // Walked to the end: nothing of it is missing.
  Array.from(leavesOf(root, blocks), ({ length }) => length);
  return written([root], [...blocks.values()]);
}

async function treesOf({ output, files }: ExecutionReceipt, client: ApiClient): Promise<Tree[]> {
  const trees: Tree[] = [];
  for (const { name, cid, sha256 } of [
    ...(output === null ? [] : [{ name: 'output', ...output }]),
    ...files,
  ]) {
    const known = cid ?? (name === 'output' ? cidOfDigest(fromHex(sha256)!) : undefined);
    if (known === undefined) throw new CliError('failed', `the receipt names no CID of the file ${name}`);
    const tree = await fetchTree(known, client);
    const hash = createHash('sha256');
    for (const leaf of leavesOf(tree.root, tree.blocks)) hash.update(leaf);
    if (hash.digest('hex') !== sha256)
      throw new CliError('failed', `what the service has as ${name} is not what the receipt says`);
    trees.push(tree);
  }
  return trees;
}

interface Tree {
  root: CID;
  blocks: Map<string, Block>;
}

/** The blocks under a CID, each of them hashed again. */
async function fetchTree(name: string, client: ApiClient): Promise<Tree> {
  const root = CID.parse(name);
  const { bytes } = await client.request(`/ipfs/${name}?format=car`, { maxBytes: CAR_BYTES });
  const blocks = new Map<string, Block>();
  for await (const { cid, bytes: block } of (await CarReader.fromBytes(bytes)).blocks()) {
    if (toHex(nodeSha256(block)) !== toHex(cid.multihash.digest))
      throw new CliError(
        'failed',
        `the service answered other bytes than those of the block ${cid.toString()}`,
      );
    blocks.set(cid.toString(), { cid, bytes: block });
  }
  return { root, blocks };
}

/** The plain bytes below a block, in order. */
function* leavesOf(cid: CID, blocks: ReadonlyMap<string, Block>): Generator<Uint8Array> {
  const block = blocks.get(cid.toString());
  if (block === undefined) throw new CliError('failed', `the service left out the block ${cid.toString()}`);
  if (cid.code !== DAG_PB) yield block.bytes;
  else for (const { Hash } of decode(block.bytes).Links) yield* leavesOf(Hash, blocks);
}

async function written(roots: readonly CID[], all: readonly Block[]): Promise<Car> {
  const distinct = [...new Map(all.map((block) => [block.cid.toString(), block])).values()];
  const named = [...new Map(roots.map((root) => [root.toString(), root])).values()];
  const chunks: Uint8Array[] = [];
  for await (const chunk of carOf(named, each(distinct))) chunks.push(chunk);
  return { bytes: Buffer.concat(chunks), roots: named.map(String) };
}

async function* each(blocks: readonly Block[]): AsyncGenerator<Block> {
  yield* blocks;
}
