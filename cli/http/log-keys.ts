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
export async function fetchVkeys(client: ApiClient, logId?: string): Promise<string[]> {
  const { vkey, vkeys } = await client.json(`/api/v1/transparency/root${queryOf({ logId })}`, rootAnswer);
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
  origin: z.string().optional(),
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
  origin: string | undefined;
  /** Of the log keys after the first. */
  logKeyStarts: LogLink[];
  receiptKeys: ListedKeyEntry[];
}

/** A log of the service, the one that grows unless it is named, and how much of it. */
export interface AskedLog {
  logId?: string | undefined;
  treeSize?: number;
}

function queryOf({ logId, treeSize }: AskedLog): string {
  const query = new URLSearchParams();
  if (logId !== undefined) query.set('log_id', logId);
  if (treeSize !== undefined) query.set('tree_size', String(treeSize));
  return query.size === 0 ? '' : `?${query.toString()}`;
}

/** The keys among the first `treeSize` entries, or among all; undefined from a service that does not list them. */
export async function fetchKeys(client: ApiClient, asked: AskedLog = {}): Promise<ServedKeys | undefined> {
  try {
    const answer = await client.json(`/api/v1/transparency/keys${queryOf(asked)}`, keysAnswer);
    return {
      origin: answer.origin,
      logKeyStarts: answer.log_keys.flatMap(({ start }) => start ?? []),
      receiptKeys: answer.receipt_keys,
    };
  } catch (thrown) {
    if (thrown instanceof CliError && thrown.code === 'not_found') return undefined;
    throw thrown;
  }
}
