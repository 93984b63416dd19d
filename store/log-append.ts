import type { EventPayload } from '../domain/events/event-types.ts';
import type { FullTile } from '../domain/log/frontier.ts';
import { byteaArray, intArray, longArray } from './binary-array.ts';
import { LogStoreError } from './log-state.ts';
import { prepared, type Queryable, type Transaction } from './pool.ts';

export interface Batch {
  logId: string;
  /** What the batch was computed on: compared again with the stored head, so that no two can follow the same one. */
  before: { size: number; root: Uint8Array };
  after: { size: number; root: Uint8Array };
  /** Pending ids, ascending: the order of their places in the log. With their leaf hashes. */
  pending: readonly { id: number; leafHash: Uint8Array }[];
  tiles: readonly FullTile[];
  /** What the payloads of the events of all these entries share; the others members are those of the entry. */
  payload: EventPayload;
}

const append = prepared(
  'append batch',
  `select append_batch($1, $2, $3, $4, $5, $6::bigint[], $7::bytea[], $8::int[], $9::bigint[], $10::bytea[],
                       $11::bytea[], $12) as appended`,
);

/**
 * Appends a batch: entries, their events, tiles that became full and head, whose commit is flushed whatever the session says. The head
 * moves first: who comes second waits for its row, and then does nothing. Throws when it moved before.
 */
export async function appendBatch(tx: Transaction, batch: Batch): Promise<void> {
  const { logId, before, after, pending, tiles, payload } = batch;
  const { rows } = await tx.query<{ appended: number | null }>(
    append([
      logId,
      before.size,
      before.root,
      after.size,
      after.root,
      longArray(pending.map((entry) => entry.id)),
      byteaArray(pending.map((entry) => entry.leafHash)),
      intArray(tiles.map((tile) => tile.level)),
      longArray(tiles.map((tile) => tile.index)),
      byteaArray(tiles.map((tile) => tile.root)),
      byteaArray(tiles.map((tile) => tile.hashes)),
      JSON.stringify(payload).slice(1, -1),
    ]),
  );
  const { appended } = rows[0]!;
  if (appended === null) throw new LogStoreError('head_moved', 'another sequencer moved the head of the log');
  if (appended !== pending.length) {
    throw new LogStoreError(
      'batch_incomplete',
      `${appended} of ${pending.length} pending entries were there`,
    );
  }
}

export interface SignedHead {
  logId: string;
  size: number;
  root: Uint8Array;
  note: string;
}

/**
 * Stores the signed head and, unless it waits for witnesses, lets the entries under it be shown. The head must stand committed; throws when another root
 * was signed for its size, which nothing of ours can bring about.
 */
export async function publishCheckpoint(
  db: Queryable,
  { logId, size, root, note }: SignedHead,
  /** False: it is kept, and shown when its witnesses say so. */
  show = true,
): Promise<void> {
  const { rows } = await db.query<{ shown: number; forked: boolean }>(
    `with signed as (
       insert into log_checkpoints (log_id, size, root, note)
       select log_id, $2, $3, $4 from log_state where log_id = $1 and size >= $2 and closed_at is null
       on conflict do nothing
     ), shown as (
       update log_state set published = case when $5 then greatest(published, $2) else published end where log_id = $1 and size >= $2 and closed_at is null returning log_id
     )
     select (select count(*)::int from shown) as shown,
            exists (select from log_checkpoints where log_id = $1 and size = $2 and root <> $3) as forked`,
    [logId, size, root, note, show],
  );
  const { shown, forked } = rows[0]!;
  if (forked) throw new LogStoreError('checkpoint_forked', `another root was signed for ${size} entries`);
  if (shown !== 1) throw new LogStoreError('head_moved', `the log does not hold ${size} entries any more`);
}
