import { setTimeout as delay } from 'node:timers/promises';
import { nodeSha256 } from '../../attestation/keys/node-verifiers.ts';
import { RemoteLogError, type RemoteLog } from '../../attestation/log/remote-log.ts';
import { toHex } from '../../domain/encoding.ts';
import { Findings } from '../../domain/log/audit/finding.ts';
import { told } from '../../domain/log/audit/group.ts';
import { mayFollow, type RememberedHead } from '../../domain/log/audit/head.ts';
import { BrokenSource } from '../../domain/log/audit/source.ts';
import { treeHash } from '../../domain/log/hash.ts';
import { verifyConsistency } from '../../domain/log/proof.ts';
import { rangeOfNode, subtreeRoot, TILE_WIDTH, tilePath } from '../../domain/log/tile.ts';
import { consistencyFolds, readFolds, type Node } from '../../domain/log/tree.ts';
import type { MonitorOptions } from '../commands/audit.ts';
import type { Context } from '../context.ts';
import { CliError, EXIT } from '../failure.ts';
import { printable } from '../text/printable.ts';
import { memoryFile, readMemory, writeMemory } from './memory.ts';
import { remoteFailure, watchLog } from './remote.ts';
import { report } from './report.ts';

const hash = treeHash(nodeSha256);

/** `beacon monitor`: looks again and again, and ends only when the log went wrong, or at Ctrl-C. */
export async function monitor(
  context: Context,
  given: string | undefined,
  options: MonitorOptions,
): Promise<number> {
  const log = await watchLog(context, given, options);
  const file = memoryFile(context, log.url, options.memory);
  const { signal } = context.io;
  for (let last: number | undefined; ;) {
    try {
      const memory = await readMemory(file, log.url);
      const findings = new Findings();
      const head = await log.head(findings);
      await follow(log.remote, memory.head, head, findings);
      if (findings.list.length > 0)
        return report(context, { log: log.url, head, from: memory.head?.size ?? 0, checked: '', findings });
      if (head !== undefined && head.size !== last) {
        await writeMemory(file, log.url, { ...memory, head });
        say(context, memory.head, head);
        last = head.size;
      }
      if (options.once === true) return EXIT.ok;
    } catch (thrown) {
      const failure = remoteFailure(context, thrown);
      if (signal.aborted) return EXIT.ok;
      if (options.once === true || !(thrown instanceof RemoteLogError)) throw failure;
      if (failure instanceof CliError) context.note(`${failure.message}; trying again`);
    }
    await delay(options.every * 1_000, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return EXIT.ok;
  }
}

/** Demands that the log of `head` begins with the one that is remembered; finds what is wrong where it does not. */
async function follow(
  remote: RemoteLog,
  before: RememberedHead | undefined,
  head: RememberedHead | undefined,
  findings: Findings,
): Promise<void> {
  if (before === undefined || findings.list.length > 0) return;
  if (head === undefined) {
    findings.add('log_rewound', 'checkpoint', `none is served; one of ${before.size} was`);
    return;
  }
  if (!mayFollow(head, before, findings) || head.size === before.size || before.size === 0) return;
  const proof = await told(
    readFolds(consistencyFolds(before.size, head.size), hash, (nodes) => readNodes(remote, nodes, head.size)),
    findings,
  );
  if (proof === undefined) return;
  const claim = { from: before.size, to: head.size, fromRoot: before.root, toRoot: head.root, proof };
  if (!verifyConsistency(claim, hash))
    findings.add(
      'log_forked',
      'checkpoint',
      `its ${head.size} entries do not begin with the ${before.size} of before`,
    );
}

/** Hashes of complete subtrees out of the log's own tiles, so that any C2SP log can be asked. */
async function readNodes(remote: RemoteLog, nodes: readonly Node[], size: number): Promise<Uint8Array[]> {
  const tiles = new Map<string, Promise<Uint8Array>>();
  return Promise.all(
    nodes.map(async (node) => {
      const { level, start, count } = rangeOfNode(node);
      const index = Math.floor(start / TILE_WIDTH);
      const width = Math.min(TILE_WIDTH, Math.floor(size / TILE_WIDTH ** level) - index * TILE_WIDTH);
      const path = tilePath({ level, index, width });
      const tile =
        tiles.get(path) ?? remote.tile(level, index, width).then((found) => demanded(found?.hashes, path));
      tiles.set(path, tile);
      const at = (start % TILE_WIDTH) * 32;
      return subtreeRoot((await tile).subarray(at, at + count * 32), hash);
    }),
  );
}

function demanded(hashes: Uint8Array | undefined, path: string): Uint8Array {
  if (hashes === undefined) throw new BrokenSource('tile_missing', path, 'it is not there');
  return hashes;
}

function say(context: Context, before: RememberedHead | undefined, head: RememberedHead): void {
  if (context.json) {
    context.record({
      origin: head.origin,
      tree_size: head.size,
      root: toHex(head.root),
      follows: before?.size ?? null,
    });
    return;
  }
  const how = before === undefined ? 'first seen' : `follows ${before.size}`;
  context.line(`${printable(head.origin)}: ${head.size} entries, root ${toHex(head.root)}, ${how}`);
}
