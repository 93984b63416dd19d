import { z } from 'zod';
import { fromHex } from '../../domain/encoding.ts';
import type { LogLink } from '../../domain/receipt/bundle.ts';
import type { ListedKeyEntry } from '../../domain/receipt/verify-retirement.ts';
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

/** One rotation a month for a lifetime. */
const MAX_ENTRIES = 2_000;

const link = z.object({ dsse: z.string(), leaf: z.string(), tlog_proof: z.string() });
const hash = z
  .string()
  .length(64)
  .transform((text, context) => {
    const bytes = fromHex(text);
    if (bytes !== undefined) return bytes;
    context.addIssue({ code: 'custom', message: 'not hex' });
    return z.NEVER;
  });
const keysAnswer = z.looseObject({
  log_keys: z.array(z.looseObject({ vkey: z.string(), start: link.nullable() })).max(MAX_ENTRIES),
  receipt_keys: z
    .array(
      z.looseObject({
        index: z.int(),
        hashes: z.array(hash).max(53),
        dsse: z.string(),
        leaf: z.string(),
      }),
    )
    .max(MAX_ENTRIES),
});

/** What a service lists of the keys of its log; nothing of it is believed without its proofs. */
export interface ServedKeys {
  /** Of the log keys after the first. */
  logKeyStarts: LogLink[];
  receiptKeys: ListedKeyEntry[];
}

/** The keys among the first `treeSize` entries, or among all; undefined from a service that does not list them. */
export async function fetchKeys(client: ApiClient, treeSize?: number): Promise<ServedKeys | undefined> {
  const query = treeSize === undefined ? '' : `?tree_size=${treeSize}`;
  try {
    const answer = await client.json(`/api/v1/transparency/keys${query}`, keysAnswer);
    return {
      logKeyStarts: answer.log_keys.flatMap(({ start }) => start ?? []),
      receiptKeys: answer.receipt_keys,
    };
  } catch (thrown) {
    if (thrown instanceof CliError && thrown.code === 'not_found') return undefined;
    throw thrown;
  }
}
