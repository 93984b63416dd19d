import { rename } from 'node:fs/promises';
import path from 'node:path';
import { equalBytes, toHex } from '../../domain/encoding.ts';
import { parseVkey } from '../../domain/log/vkey.ts';
import { readKey, type KeySource } from './key-file.ts';
import { logKey } from './log-key.ts';
import { nodeSha256 } from './node-verifiers.ts';

/** Moves key files aside that signed a log which was closed: a new log gets a new key. Keys in the environment stay. */
export async function setAsideKeys(
  sources: readonly KeySource[],
  closedVkeys: readonly string[],
): Promise<void> {
  const closed = closedVkeys.map((vkey) => parseVkey(vkey, nodeSha256));
  for (const { pem, file } of sources) {
    if (pem !== undefined && pem !== '') continue;
    const found = await readKey({ file });
    if (found === undefined) continue;
    const { publicKey } = logKey(found);
    const of = closed.find((key) => equalBytes(key.publicKey, publicKey));
    if (of !== undefined) await rename(file, path.join(path.dirname(file), `log.${toHex(of.id)}.closed.pem`));
  }
}
