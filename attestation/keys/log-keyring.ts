import type { NoteSigner } from '../../domain/log/note.ts';
import { formatVkey } from '../../domain/log/vkey.ts';
import { readKey, type KeySource } from './key-file.ts';
import { loadLogKey, logKey, type LogKey } from './log-key.ts';

/** The log keys that a sequencer holds: one, or two while the key of its log is being rotated. */
export interface LogKeyring {
  /** The one with which a new log begins. */
  readonly first: LogKey;
  /** The key of this verifier key, if it is held. */
  find(vkey: string): NoteSigner | undefined;
  /** Looks again: a rotation puts the new key beside the old one. */
  reload(): Promise<void>;
}

export interface LogKeySources {
  current: KeySource;
  /** The key to which the log is rotated. */
  next: KeySource;
}

/** Loads the keys; a new one is made only for a log that never had one. */
export async function loadLogKeyring(
  sources: LogKeySources,
  options: { logIsNew: boolean },
): Promise<LogKeyring> {
  const first = await loadLogKey(sources.current, options);
  const held = new Map([[keyOf(first), first]]);
  const reload = async (): Promise<void> => {
    for (const source of [sources.current, sources.next]) {
      const key = await readKey(source);
      if (key === undefined) continue;
      const found = logKey(key);
      // What was held stays held: files change places when an old key is retired.
      held.set(keyOf(found), found);
    }
  };
  await reload();
  return { first, find: (vkey) => findKey([...held.values()], vkey), reload };
}

/** Keys that stay the same, for tests and benches. */
export function fixedLogKeyring(first: LogKey, ...others: readonly LogKey[]): LogKeyring {
  return { first, find: (vkey) => findKey([first, ...others], vkey), reload: () => Promise.resolve() };
}

const keyOf = ({ publicKey }: LogKey): string => Buffer.from(publicKey).toString('hex');

function findKey(held: readonly LogKey[], vkey: string): NoteSigner | undefined {
  const name = vkey.slice(0, vkey.indexOf('+'));
  return held.map((key) => key.signerFor(name)).find((signer) => formatVkey(signer) === vkey);
}
