import { equalBytes } from '../../domain/encoding.ts';
import { Frontier } from '../../domain/log/frontier.ts';
import { treeHash } from '../../domain/log/hash.ts';
import { readKeys, type KeyState } from '../../store/log-keys.ts';
import { readHashes } from '../../store/log-tiles.ts';
import type { Pool } from '../../store/pool.ts';
import { nodeSha256 } from '../keys/node-verifiers.ts';
import { LogServiceError } from './error.ts';
import { checkGuard, type Guard } from './guard.ts';
import { requireOpen } from './open.ts';
import { createLogReader } from './reader.ts';

/** What a sequencer holds in memory of the log that it leads. */
export interface LoadedLog {
  frontier: Frontier;
  root: Uint8Array;
  /** Its keys, as far as the checkpoints depend on them; which pending entries they allow is read with every batch. */
  keys: readonly KeyState[];
}

/** Rebuilds the right edge of the tree from the tables and refuses when it does not lead to the stored root. */
export async function loadLog(pool: Pool, logId: string, guard: Guard | undefined): Promise<LoadedLog> {
  const head = await requireOpen(pool, logId);
  await checkGuard(await guard?.read(), head, createLogReader(pool, logId).rootAt);
  const tiles = await readHashes(pool, logId, Frontier.ranges(head.size));
  const frontier = Frontier.restore(head.size, tiles, treeHash(nodeSha256));
  if (!equalBytes(frontier.root(), head.root)) {
    throw new LogServiceError(
      'log_inconsistent',
      `the entries do not lead to the root stored for ${head.size} of them`,
    );
  }
  return { frontier, root: head.root, keys: await readKeys(pool, logId) };
}
