import { nodeSha256 } from '../../attestation/keys/node-verifiers.ts';
import type { SignedStatement } from '../../attestation/receipt/build.ts';
import { fromUtf8 } from '../../domain/encoding.ts';
import { signCheckpoint } from '../../domain/log/checkpoint.ts';
import { Frontier } from '../../domain/log/frontier.ts';
import { treeHash } from '../../domain/log/hash.ts';
import type { NoteSigner } from '../../domain/log/note.ts';
import { rangeOfNode, subtreeRoot } from '../../domain/log/tile.ts';
import { formatTlogProof } from '../../domain/log/tlog-proof.ts';
import { inclusionFolds, readFolds, type Node } from '../../domain/log/tree.ts';
import type { LogLink } from '../../domain/receipt/bundle.ts';

const hash = treeHash(nodeSha256);
const textOf = (bytes: Uint8Array) => fromUtf8(bytes)!;

/** Places statements in a log of their own and proves each under the checkpoint over all of them. */
export async function logged(
  statements: readonly Pick<SignedStatement, 'dsse' | 'leaf'>[],
  ...signers: [NoteSigner, ...NoteSigner[]]
): Promise<LogLink[]> {
  const hashes = statements.map(({ leaf }) => hash.leaf(leaf));
  const frontier = Frontier.empty(hash);
  for (const leaf of hashes) frontier.append(leaf);
  const size = hashes.length;
  const checkpoint = await signCheckpoint({ origin: signers[0].name, size, root: frontier.root() }, signers);
  const read = async (nodes: readonly Node[]) =>
    nodes.map((node) => {
      const { start, count } = rangeOfNode(node);
      return subtreeRoot(Buffer.concat(hashes.slice(start, start + count)), hash);
    });
  return Promise.all(
    statements.map(async ({ dsse, leaf }, index) => {
      const proof = await readFolds(inclusionFolds(index, size), hash, read);
      return {
        dsse: textOf(dsse),
        leaf: textOf(leaf),
        tlog_proof: formatTlogProof({ index, proof, checkpoint }),
      };
    }),
  );
}
