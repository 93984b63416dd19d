import { createPublicKey } from 'node:crypto';
import { nodeSha256 } from '../../attestation/keys/node-verifiers.ts';
import { receiptKeyId } from '../../domain/receipt/statement.ts';
import type { Context } from '../context.ts';
import { CliError } from '../failure.ts';
import { readInput } from '../input.ts';

const PEM_BYTES = 16 * 1024;

/** The id of the receipt key in a PEM file (public, or private: only its public half is used). */
export async function receiptKeyIdOf(context: Context, file: string): Promise<string> {
  const pem = await readInput(context, file, PEM_BYTES);
  try {
    const key = createPublicKey(Buffer.from(pem));
    if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw new TypeError('not a P-256 key');
    return receiptKeyId(key.export({ type: 'spki', format: 'der' }), nodeSha256);
  } catch (cause) {
    throw new CliError('key_invalid', `${file} is not a P-256 key in PEM`, {
      next: '--key takes a receipt key; the key of the log is given with --vkey',
      cause,
    });
  }
}
