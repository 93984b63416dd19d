import { z } from 'zod';
import { CliError } from '../failure.ts';
import type { ApiClient } from './client.ts';

const MAX_KEYS = 8;

const rootAnswer = z.looseObject({
  vkey: z.string().nullish(),
  vkeys: z.array(z.string()).max(MAX_KEYS).nullish(),
});

/** The verifier keys that the service names for its log: a claim, worth what the first use of it is worth. */
export async function fetchVkeys(client: ApiClient): Promise<string[]> {
  const { vkey, vkeys } = await client.json('/api/v1/transparency/root', rootAnswer);
  const named = vkeys ?? (vkey == null ? [] : [vkey]);
  if (named.length > 0) return named;
  throw new CliError('trust_missing', `${client.base} does not name the key of its log`, {
    next: 'give it with --vkey',
  });
}
