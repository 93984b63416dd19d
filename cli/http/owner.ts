import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { READ_HEADER, signRead } from '../../domain/signing/signed-read.ts';
import type { Context } from '../context.ts';
import { readKeyFile, type SigningKey } from '../keys/key-file.ts';
import { signingKeyPath } from '../keys/key-path.ts';
import type { ApiClient, ReadSigner } from './client.ts';

const NONCE_BYTES = 16;
const TICKETS = '/api/v1/feed/tickets';
const ticketAnswer = z.looseObject({ ticket: z.string() });

/** Signs reads with the key of this person; without one, or with one that cannot be used, nothing is signed. */
export function ownerSigner({ io }: Pick<Context, 'io'>): ReadSigner {
  let key: Promise<SigningKey | undefined> | undefined;
  return async (method, path) => {
    key ??= readKeyFile(signingKeyPath(io, undefined)).catch(() => undefined);
    const signer = await key;
    if (signer === undefined) return undefined;
    const nonce = randomBytes(NONCE_BYTES).toString('base64url');
    const read = { method, path, timestamp: new Date().toISOString(), nonce };
    return { [READ_HEADER]: signRead(read, signer) };
  };
}

/** A ticket for the feed, when what is followed was only to be had as its owner. */
export async function feedTicket(client: ApiClient, sign: ReadSigner): Promise<string | undefined> {
  if (!client.isOwner) return undefined;
  const headers = await sign('POST', TICKETS);
  if (headers === undefined) return undefined;
  return (await client.json(TICKETS, ticketAnswer, { method: 'POST', headers })).ticket;
}
