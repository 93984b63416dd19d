import { cosignerKey, type CosignatureSigner } from '../../domain/log/cosignature.ts';
import { createKey, readKey, type KeySource } from './key-file.ts';
import { logKey, newLogKey } from './log-key.ts';
import { nodeSha256 } from './node-verifiers.ts';

/** Loads the key of a cosigner (Ed25519); makes one where there is none, since its name is not a promise as a log's is. */
export async function loadCosigner(source: KeySource, name: string): Promise<CosignatureSigner> {
  const key = logKey((await readKey(source)) ?? (await createKey(source.file, newLogKey)));
  return { ...cosignerKey(name, key.publicKey, nodeSha256), sign: key.sign };
}
