import { appendPending, type Appended } from '../../attestation/log/append.ts';
import type { LoadedLog } from '../../attestation/log/load.ts';
import { publishHead } from '../../attestation/log/publish.ts';
import type { NoteSigner } from '../../domain/log/note.ts';
import type { Pool } from '../../store/pool.ts';

/** One batch as a sequencer does it: appended, signed and shown. */
export async function sequence(
  pool: Pool,
  logId: string,
  log: LoadedLog,
  signer: NoteSigner,
): Promise<Appended> {
  const appended = await appendPending(pool, logId, log);
  if (appended.entries > 0) await publishHead(pool, logId, appended.log, [signer]);
  return appended;
}
