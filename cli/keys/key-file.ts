import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign as cryptoSign,
  type KeyObject,
} from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import type { SpecSigner } from '../../domain/signing/sign.ts';
import { CliError, codeOf, fileReasonOf } from '../failure.ts';
import { readRegularFile } from '../regular-file.ts';

const PRIVATE_FILE = 0o600;
const OTHERS = 0o077;
/** A PKCS8 PEM of an Ed25519 key has about 120 bytes. */
const KEY_FILE_BYTES = 16 * 1024;
/** SubjectPublicKeyInfo of Ed25519: 12 bytes of DER, then the key. */
const SPKI_PREFIX_BYTES = 12;

export interface SigningKey extends SpecSigner {
  /** Standard base64 of the 32 raw bytes, as specs carry it. */
  publicText: string;
}

function signingKey(key: KeyObject): SigningKey {
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const publicKey = spki.subarray(SPKI_PREFIX_BYTES);
  return {
    publicKey,
    publicText: publicKey.toString('base64'),
    sign: (message) => cryptoSign(null, message, key),
  };
}

/** A key that nobody keeps. */
export function throwawayKey(): SigningKey {
  return signingKey(generateKeyPairSync('ed25519').privateKey);
}

/** Makes a key and writes it as PKCS8 PEM, mode 0600, never over a file that is there, into a folder that is there. */
export async function createKeyFile(file: string): Promise<SigningKey> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  let handle: FileHandle;
  try {
    handle = await open(file, 'wx', PRIVATE_FILE);
  } catch (cause) {
    if (codeOf(cause) === 'EEXIST') {
      const next = 'keep it and sign with it, or name another place with --out';
      throw new CliError('output_exists', `${file} is there already`, { next, cause });
    }
    throw new CliError('output_unwritable', `cannot write ${file}: ${fileReasonOf(cause)}`, { cause });
  }
  try {
    await handle.writeFile(pem);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return signingKey(privateKey);
}

/** Reads a key file; one that others may read is refused, because it may have been. */
export async function readKeyFile(file: string): Promise<SigningKey> {
  const pem = await readPrivate(file);
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw new CliError('key_invalid', `${file} is not a private key in PEM`, {
      next: '`beacon keygen` makes one',
      cause,
    });
  }
  if (key.asymmetricKeyType !== 'ed25519') {
    const kind = key.asymmetricKeyType ?? 'unknown';
    throw new CliError(
      'key_invalid',
      `${file} holds a key of type ${kind}; job specs are signed with Ed25519`,
      {
        next: '`beacon keygen --out FILE` makes one',
      },
    );
  }
  return signingKey(key);
}

async function readPrivate(file: string): Promise<Buffer> {
  const read = await readRegularFile(file, KEY_FILE_BYTES);
  if (read === undefined) {
    const next = 'make one with `beacon keygen`, or sign with --throwaway';
    throw new CliError('key_missing', `there is no signing key at ${file}`, { next });
  }
  const { mode } = read.stats;
  if (process.platform !== 'win32' && (mode & OTHERS) !== 0) {
    const shown = (mode & 0o777).toString(8).padStart(4, '0');
    throw new CliError('key_unsafe', `${file} can be read by others (mode ${shown})`, {
      next: `chmod 600 ${file}, and make a new key if somebody may have read it`,
    });
  }
  return read.bytes;
}
