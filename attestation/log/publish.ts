import { signCheckpoint } from '../../domain/log/checkpoint.ts';
import type { NoteSigner } from '../../domain/log/note.ts';
import { publishCheckpoint, type SignedHead } from '../../store/log-append.ts';
import type { Pool } from '../../store/pool.ts';
import { noFaults, type Faults } from './faults.ts';
import type { Guard } from './guard.ts';
import type { LoadedLog } from './load.ts';

export interface PublishOptions {
  guard?: Guard | undefined;
  faults?: Faults | undefined;
  /** False: witnesses have to cosign it first. Default true. */
  show?: boolean | undefined;
}

/**
 * Signs the head that stands committed, has the guard remember it, and only then lets it be shown. A signature is never
 * over anything that a crash could undo, so no two of one size can name different roots, not even unpublished ones.
 * Repeating it is harmless: the same head gets the same note.
 */
export async function publishHead(
  pool: Pool,
  logId: string,
  { frontier: { size }, root }: LoadedLog,
  signers: readonly [NoteSigner, ...NoteSigner[]],
  { guard, faults = noFaults, show = true }: PublishOptions = {},
): Promise<SignedHead> {
  const origin = signers[0].name;
  await faults('before_sign');
  const note = await signCheckpoint({ origin, size, root }, signers);
  await faults('after_sign');
  await guard?.write({ origin, size, root, note });
  await faults('after_guard');
  const signed = { logId, size, root, note };
  await publishCheckpoint(pool, signed, show);
  await faults('after_publish');
  return signed;
}
