import { noteKey } from '../../domain/log/vkey.ts';
import { logKeyId } from '../../domain/receipt/key-statement.ts';
import { formatVkey } from '../../domain/log/vkey.ts';
import { addKeyEntry, type KeyState, type NewKeyEntry } from '../../store/log-keys.ts';
import type { Pool } from '../../store/pool.ts';
import type { LogKey } from '../keys/log-key.ts';
import { nodeSha256 } from '../keys/node-verifiers.ts';
import { buildLogKeyEnd, buildLogKeyStart, type SignedStatement } from '../receipt/build.ts';

/**
 * The keys of a log's checkpoints. A log is rotated to another key by an entry that the old one signs; from the checkpoint
 * over it on, both sign. The old one stops by an entry that an operator asks for, when every client has followed.
 */
export async function startLogKey(
  pool: Pool,
  { logId, origin }: LogNamed,
  next: LogKey,
  current: LogKey,
): Promise<boolean> {
  const start = keyEntry(1, next, origin, await buildLogKeyStart(next, current, origin));
  return addKeyEntry(pool, logId, start, (keys) => {
    const live = liveLogKeys(keys);
    const mine = live.find(({ keyId }) => keyId === idOf(current, origin));
    if (mine === undefined) return `the log is not signed by ${vkeyOf(current, origin)}`;
    return live.length > 1 ? 'the log is being rotated already: retire the old key first' : undefined;
  });
}

/** Ends `ending`; false when it was ended before. `signer` is a key that signs the log and stays. */
export async function endLogKey(
  pool: Pool,
  { logId, origin }: LogNamed,
  ending: LogKey,
  signer: LogKey,
): Promise<boolean> {
  const end = keyEntry(2, ending, origin, await buildLogKeyEnd(vkeyOf(ending, origin), signer, origin));
  return addKeyEntry(pool, logId, end, (keys) => {
    const live = liveLogKeys(keys);
    const started = (key: LogKey) => live.some((one) => one.keyId === idOf(key, origin) && isStarted(one));
    if (!started(ending)) return `the log is not signed by ${vkeyOf(ending, origin)}`;
    if (idOf(ending, origin) === idOf(signer, origin)) return 'a log key is ended by one that stays';
    return started(signer) ? undefined : `the log is not signed by ${vkeyOf(signer, origin)} yet`;
  });
}

interface LogNamed {
  logId: string;
  origin: string;
}

export function liveLogKeys(keys: readonly KeyState[]): KeyState[] {
  return keys.filter(({ purpose, ending }) => purpose === 'log' && !ending);
}

function isStarted({ hasStart, startIndex }: KeyState): boolean {
  return !hasStart || startIndex !== null;
}

function vkeyOf({ publicKey }: LogKey, origin: string): string {
  return formatVkey(noteKey(origin, publicKey, nodeSha256));
}

function idOf({ publicKey }: LogKey, origin: string): string {
  return logKeyId(noteKey(origin, publicKey, nodeSha256), nodeSha256);
}

function keyEntry(version: 1 | 2, key: LogKey, origin: string, signed: SignedStatement): NewKeyEntry {
  const { dsse, dsseDigest, dsseCid, leaf, keyId: signer } = signed;
  const [keyId, vkey] = [idOf(key, origin), vkeyOf(key, origin)];
  return { keyId, version, purpose: 'log', signer, vkey, spki: null, dsse, dsseDigest, dsseCid, leaf };
}
