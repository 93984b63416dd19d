/**
 * UnixFS nodes above stored bytes, by the profile `unixfs-v1-2025` (IPIP-499): chunks of 1 MiB as raw leaves, at most
 * 1,024 links, large directories as HAMT. Nothing here reads a file: leaves and files are named by CID and size, so every
 * node is a pure function of stored rows and can be made again at any time.
 */
import { importer, importFile, type ImporterOptions, type WritableStorage } from 'ipfs-unixfs-importer';
import { CID } from 'multiformats/cid';
import { LIMITS } from '../limits.ts';
import { cidOfDigest } from '../receipt/cid.ts';

/** A chunk of a file: all but the last have exactly 1 MiB. */
export interface Leaf {
  cid: string;
  size: number;
}

/** A dag-pb block. */
export interface Node {
  cid: string;
  bytes: Uint8Array;
}

export interface Dag {
  /** Of its root. */
  cid: string;
  /** Bytes of all its blocks, as links state it. */
  size: number;
  /** Its dag-pb blocks; a file of one chunk has none. */
  nodes: Node[];
}

const PROFILE = 'unixfs-v1-2025';
const NO_BYTES = new Uint8Array();

/** The file that these leaves make. */
export async function fileDag(leaves: readonly Leaf[]): Promise<Dag> {
  const { nodes, store } = nodeStore();
  const options: ImporterOptions = {
    profile: PROFILE,
    async *bufferImporter() {
      for (const leaf of leaves) {
        const found = { cid: CID.parse(leaf.cid), size: BigInt(leaf.size), block: NO_BYTES };
        yield async () => found;
      }
    },
  };
  const { cid, size } = await importFile({ content: NO_BYTES }, store, options);
  return { cid: cid.toString(), size: Number(size), nodes };
}

/** A file in a directory. */
export interface DirectoryEntry {
  /** Names joined by `/`. */
  path: string;
  cid: string;
  /** Of its bytes. */
  size: number;
}

/** The directory that holds these files, whatever their order. */
export async function directoryDag(entries: readonly DirectoryEntry[]): Promise<Dag> {
  const { nodes, store } = nodeStore();
  const sizeOf = dagSizes();
  let root: { cid: CID; size: bigint } | undefined;
  const options: ImporterOptions = {
    profile: PROFILE,
    wrapWithDirectory: true,
    async *dagBuilder() {
      for (const { path, cid, size } of entries) {
        const found = { path, originalPath: path, cid: CID.parse(cid), size: BigInt(await sizeOf(size)) };
        yield async () => found;
      }
    },
  };
  for await (const made of importer([], store, options)) root = made;
  if (root === undefined) throw new Error('a directory has entries');
  return { cid: root.cid.toString(), size: Number(root.size), nodes };
}

/** How many bytes a file's blocks have together: a function of its size alone. */
function dagSizes(): (size: number) => Promise<number> {
  const known = new Map<number, number>();
  const anyCid = cidOfDigest(new Uint8Array(32));
  return async (size) => {
    if (size <= LIMITS.blobPartBytes) return size;
    let whole = known.get(size);
    if (whole === undefined) {
      const leaves = leafSizes(size).map((part) => ({ cid: anyCid, size: part }));
      whole = (await fileDag(leaves)).size;
      known.set(size, whole);
    }
    return whole;
  };
}

function leafSizes(size: number): number[] {
  const whole = Math.floor(size / LIMITS.blobPartBytes);
  const rest = size % LIMITS.blobPartBytes;
  return [...Array<number>(whole).fill(LIMITS.blobPartBytes), ...(rest === 0 ? [] : [rest])];
}

function nodeStore(): { nodes: Node[]; store: WritableStorage } {
  const nodes: Node[] = [];
  const store: WritableStorage = {
    put(cid, bytes) {
      if (!(bytes instanceof Uint8Array)) throw new TypeError('the importer gives blocks whole');
      nodes.push({ cid: cid.toString(), bytes });
      return cid;
    },
  };
  return { nodes, store };
}
