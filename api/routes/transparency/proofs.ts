import { LRUCache } from 'lru-cache';
import { nodeSha256 } from '../../../attestation/keys/node-verifiers.ts';
import { readVkeys } from '../../../attestation/log/signers.ts';
import { parseVkey, type NoteKey } from '../../../domain/log/vkey.ts';
import { readCosignatures, type StoredCosignature } from '../../../store/log-cosignatures.ts';
import { readProvableEntry, type ProvableEntry } from '../../../store/log-entries.ts';
import type { StoredCheckpoint } from '../../../store/log-tiles.ts';
import type { Queryable } from '../../../store/pool.ts';
import { isVisible, type Viewer } from '../../../store/principals.ts';
import { ApiError } from '../../errors.ts';
import { nameOf } from '../conditional.ts';
import type { LogFinder, ServedLog } from './log.ts';
import { logProblem } from './problem.ts';
import { proofAnswer } from './proof-answer.ts';
import { createProofSubjects, type ProofQuery } from './proof-subject.ts';

/** Entries with their envelopes, and answers, are kept up to so many bytes of each. */
const KEPT_BYTES = 8 * 1024 * 1024;
/** What an entry takes beside its leaf and envelope. */
const ENTRY_BYTES = 1_000;
/** Sizes whose newest key is remembered. */
const MAX_KEYS = 16;

/** What is sent: the same text for the same entry, checkpoint, cosignatures and viewer. */
interface Sent {
  body: Buffer;
  /** For `ETag`. */
  name: string;
}

interface KeptAnswer {
  provable: ProvableEntry;
  size: number;
  /** The lines of the cosigners. */
  cosigned: string;
  json: Sent;
  text: Sent;
}

interface KeptEntry {
  provable: ProvableEntry;
  isErased: boolean;
}

/**
 * Proofs as they are sent. Before anything that is kept is sent again, the database is asked what the log shows now and
 * whether the execution was erased: that look is shared by all who ask at about the same time (log.ts). So an answer is
 * made once for an entry under the newest checkpoint with its cosignatures, and a proof that was asked for before costs
 * no statement of its own.
 */
export function createProofs(db: Queryable, findLog: LogFinder) {
  const subjectOf = createProofSubjects(db, findLog);
  const entries = new LRUCache<string, KeptEntry>({
    maxSize: KEPT_BYTES,
    sizeCalculation: ({ provable: { entry, envelope } }) =>
      ENTRY_BYTES + entry.leaf.length + (envelope?.length ?? 0),
  });
  const answers = new LRUCache<string, KeptAnswer>({
    maxSize: KEPT_BYTES,
    sizeCalculation: ({ json, text }) => json.body.length + text.body.length,
  });
  const keys = new LRUCache<string, Promise<NoteKey | undefined>>({ max: MAX_KEYS });

  async function entryAt({ head, isErased }: ServedLog, index: number): Promise<ProvableEntry> {
    const key = `${head.logId}/${index}`;
    const kept = entries.get(key);
    if (kept !== undefined && kept.isErased === isErased) return kept.provable;
    const provable = await readProvableEntry(db, head.logId, index);
    if (provable === undefined) throw new ApiError('proof_not_found');
    // A job that is not known here may yet be.
    if (provable.job !== null) entries.set(key, { provable, isErased });
    return provable;
  }

  /** The newest key that signs the checkpoint of a size: that follows from the entries below it. */
  function keyAt(logId: string, size: number): Promise<NoteKey | undefined> {
    const key = `${logId}/${size}`;
    let found = keys.get(key);
    if (found === undefined) {
      found = newestKey(db, logId, size);
      keys.set(key, found);
      found.catch(() => keys.delete(key));
    }
    return found;
  }

  async function make(
    { reader }: ServedLog,
    provable: ProvableEntry,
    checkpoint: StoredCheckpoint,
    cosignatures: readonly StoredCosignature[],
    visible: boolean,
  ): Promise<KeptAnswer> {
    const { size } = checkpoint;
    const logKey = visible ? await keyAt(reader.logId, size) : undefined;
    const answer = await proofAnswer({ reader, provable, checkpoint, cosignatures, logKey }, visible);
    const sent = (text: string): Sent => {
      const body = Buffer.from(text);
      return { body, name: nameOf(body) };
    };
    return {
      provable,
      size,
      cosigned: linesOf(cosignatures),
      json: sent(JSON.stringify(answer)),
      text: sent(answer.tlog_proof),
    };
  }

  return async (query: ProofQuery, size: number | undefined): Promise<Record<'json' | 'text', Sent>> => {
    const { index, served } = await subjectOf(query);
    const { logId } = served.head;
    const checkpoint =
      size === undefined || size === served.checkpoint?.size
        ? served.checkpoint
        : await served.reader.checkpoint(size).catch(logProblem);
    if (checkpoint === undefined) throw new ApiError('checkpoint_not_found');
    if (index >= checkpoint.size) {
      throw new ApiError('proof_not_found', {
        message: `entry ${index} is not among the first ${checkpoint.size}`,
      });
    }
    const provable = await entryAt(served, index);
    const visible = sees(provable, query.viewer);
    if (checkpoint !== served.checkpoint) {
      const cosignatures = await readCosignatures(db, logId, checkpoint.size);
      return make(served, provable, checkpoint, cosignatures, visible);
    }
    const key = `${logId}/${index}/${visible}`;
    const kept = answers.get(key);
    if (kept !== undefined && isOf(kept, provable, served)) return kept;
    const made = await make(served, provable, checkpoint, served.cosignatures, visible);
    answers.set(key, made);
    return made;
  };
}

function isOf(kept: KeptAnswer, provable: ProvableEntry, { checkpoint, cosignatures }: ServedLog): boolean {
  return (
    kept.provable === provable && kept.size === checkpoint?.size && kept.cosigned === linesOf(cosignatures)
  );
}

function linesOf(cosignatures: readonly StoredCosignature[]): string {
  return cosignatures.map(({ line }) => line).join('');
}

/** Whether `viewer` may know what an entry is about; of a private job's he sees the leaf alone. */
function sees({ job }: ProvableEntry, viewer: Viewer): boolean {
  return job === undefined || (job !== null && isVisible(job, viewer));
}

async function newestKey(db: Queryable, logId: string, size: number): Promise<NoteKey | undefined> {
  const vkey = (await readVkeys(db, logId, size)).at(-1);
  return vkey === undefined ? undefined : parseVkey(vkey, nodeSha256);
}
