import { formatAddCheckpoint, WitnessRefusal } from '../../domain/log/add-checkpoint.ts';
import { formatCosignerVkey, type CosignatureSigner } from '../../domain/log/cosignature.ts';
import { pause } from '../../domain/pause.ts';
import type { Log } from '../../observability/log.ts';
import { addCosignatures, pruneCheckpoints, setOwnCosigner } from '../../store/log-cosignatures.ts';
import type { StoredCheckpoint } from '../../store/log-tiles.ts';
import type { Pool } from '../../store/pool.ts';
import { KeyError } from '../keys/error.ts';
import type { LogKeyring } from '../keys/log-keyring.ts';
import { createWitness } from '../witness/witness.ts';
import type { WitnessMemory } from '../witness/memory.ts';
import { LogServiceError } from './error.ts';
import { createLogReader } from './reader.ts';
import { readCosignatures } from './cosignatures.ts';
import { readOwnKeys } from './signers.ts';

/** A checkpoint carries no time; this often the operator's own cosigner says that the newest one still is. */
const FRESHNESS_MS = 60_000;
/** After a signature that was not to be had. */
const RETRY_MS = 5_000;

/** The operator's own cosigner: a witness of this log alone, with a memory outside the database. */
export interface OwnCosigner {
  signer: CosignatureSigner;
  memory: WitnessMemory;
  everyMs?: number;
}

export interface FreshnessOptions {
  pool: Pool;
  logId: string;
  logKeys: LogKeyring;
  cosigner: OwnCosigner;
  log: Log;
}

/**
 * Cosigns the newest checkpoint every minute for as long as this process leads, and keeps the history within its bounds.
 * Rejects with LogServiceError when the log does not continue what was cosigned before: a second memory beside the guard.
 */
export async function keepFresh(options: FreshnessOptions, term: AbortSignal): Promise<void> {
  const { pool, logId, logKeys, cosigner, log } = options;
  const { signer, memory, everyMs = FRESHNESS_MS } = cosigner;
  const witness = createWitness({ memory, signer, keys: () => readOwnKeys(pool, logId, logKeys) });
  await setOwnCosigner(pool, logId, formatCosignerVkey(signer));
  while (!term.aborted) {
    const newest = await createLogReader(pool, logId).newestCheckpoint();
    let waitMs = everyMs;
    if (newest === undefined) waitMs = Math.min(RETRY_MS, everyMs);
    else {
      try {
        const lines = await witness.addCheckpoint(await requestFor(pool, logId, memory, signer, newest));
        await addCosignatures(pool, logId, newest.size, [
          readCosignatures(newest.note, lines, [signer]).at(0)!,
        ]);
      } catch (error) {
        if (!(error instanceof KeyError)) throw distrusted(error);
        log.warn({ err: error, log_id: logId }, 'the newest checkpoint could not be cosigned');
        waitMs = Math.min(RETRY_MS, everyMs);
      }
    }
    await pruneCheckpoints(pool, logId);
    await pause(waitMs, term);
  }
}

async function requestFor(
  pool: Pool,
  logId: string,
  memory: WitnessMemory,
  { name }: CosignatureSigner,
  newest: StoredCheckpoint,
): Promise<string> {
  const origin = newest.note.slice(0, newest.note.indexOf('\n'));
  const oldSize = (await memory.read(origin))?.size ?? 0;
  if (oldSize > newest.size) {
    throw new LogServiceError(
      'rollback_detected',
      `the database shows ${newest.size} entries, but ${name} cosigned ${oldSize}; this log must not be signed any more (docs/receipt.md)`,
    );
  }
  const proof =
    oldSize === 0 ? [] : await createLogReader(pool, logId).consistencyProof(oldSize, newest.size);
  return formatAddCheckpoint({ oldSize, proof, checkpoint: newest.note });
}

/** What a refusal of one's own cosigner means: it saw another history. */
function distrusted(error: unknown): unknown {
  if (!(error instanceof WitnessRefusal)) return error;
  return new LogServiceError('log_inconsistent', `the operator's own cosigner refuses: ${error.message}`);
}
