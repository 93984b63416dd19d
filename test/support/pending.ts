import { randomUUID } from 'node:crypto';
import type { Pool } from '../../store/pool.ts';

export interface PendingLeaf {
  subjectId?: string;
  leaf: Uint8Array;
  keyId: string;
}

/** Puts leaves into the log's outbox as `attest` does, in one statement; answers their subjects. */
export async function putPending(
  pool: Pool,
  logId: string,
  leaves: readonly PendingLeaf[],
): Promise<string[]> {
  const subjects = leaves.map((leaf) => leaf.subjectId ?? randomUUID());
  await pool.query(
    `insert into log_pending (log_id, subject_kind, subject_id, version, leaf, key_id, execution_id, cid)
     select $1, 'receipt', subject, 1, leaf, key_id, subject::uuid, 'cid-' || subject
     from unnest($2::text[], $3::bytea[], $4::text[]) with ordinality as p (subject, leaf, key_id, place) order by place`,
    [logId, subjects, leaves.map(({ leaf }) => leaf), leaves.map(({ keyId }) => keyId)],
  );
  return subjects;
}
