import type { NoteSigner } from '../../domain/log/note.ts';
import type { NoteKey } from '../../domain/log/vkey.ts';
import { readKeys, type KeyState } from '../../store/log-keys.ts';
import type { Pool, Queryable } from '../../store/pool.ts';
import { KeyError } from '../keys/error.ts';
import type { LogKeyring } from '../keys/log-keyring.ts';

/**
 * Who signs the checkpoint of `size` entries: every log key that has started among them and not ended. So it follows from
 * the log alone, and the same size is always signed by the same keys. The newest key stands last.
 */
export function checkpointSigners(
  keys: readonly KeyState[],
  size: number,
  keyring: LogKeyring,
): [NoteSigner, ...NoteSigner[]] {
  const [first, ...others] = keys.filter((key) => signsAt(key, size)).map((key) => held(key.vkey!, keyring));
  if (first === undefined) throw new KeyError('log_key_missing', 'no key signs the checkpoints of this log');
  return [first, ...others];
}

/** Whether a key signs the checkpoint of `size` entries. Its end entry is the first that it does not cover. */
export function signsAt({ purpose, hasStart, startIndex, endIndex }: KeyState, size: number): boolean {
  if (purpose !== 'log' || (endIndex !== null && size > endIndex)) return false;
  return !hasStart || (startIndex !== null && startIndex < size);
}

/** The verifier keys of the checkpoint of `size` entries, the newest last. */
export async function readVkeys(pool: Queryable, logId: string, size: number): Promise<string[]> {
  const keys = await readKeys(pool, logId);
  return keys.filter((key) => signsAt(key, size)).map(({ vkey }) => vkey!);
}

/** The log keys of a log that are held here. */
export async function readOwnKeys(pool: Pool, logId: string, keyring: LogKeyring): Promise<NoteKey[]> {
  const keys = await readKeys(pool, logId);
  return keys.flatMap(({ vkey }) => (vkey === null ? [] : (keyring.find(vkey) ?? [])));
}

function held(vkey: string, keyring: LogKeyring): NoteSigner {
  const signer = keyring.find(vkey);
  if (signer !== undefined) return signer;
  throw new KeyError(
    'log_key_missing',
    `the log is signed by ${vkey}, a key that is not here (docs/runbook.md, A log key is lost)`,
  );
}
