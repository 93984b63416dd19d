import { nodeVerifiers } from '../../attestation/keys/node-verifiers.ts';
import { logIdOf } from '../../attestation/log/open.ts';
import type { Trust, Verdict } from '../../domain/receipt/verdict.ts';
import { verifyRetirement } from '../../domain/receipt/verify-retirement.ts';
import type { VerifyOptions } from '../commands/verify.ts';
import type { Context } from '../context.ts';
import type { ApiClient } from '../http/client.ts';
import { fetchKeys } from '../http/log-keys.ts';
import { followKeys } from './trust.ts';
import { verifyBundleFile } from './verify-file.ts';

/** A verdict, and the trust under which it was reached. */
export interface Judged {
  verdict: Verdict;
  trust: Trust;
}

/**
 * Checks a bundle like `verifyBundleFile`, and what only the log can tell: the key to which it was rotated since its key
 * was pinned, and whether a receipt was logged after its key had ended.
 */
export async function verifyOnline(
  context: Context,
  client: ApiClient,
  bytes: Uint8Array,
  trust: Trust,
  options: VerifyOptions,
): Promise<Judged> {
  const first = verifyBundleFile(bytes, trust);
  if (!first.ok && first.link !== 'checkpoint') return { verdict: first, trust };
  const growing = await fetchKeys(client);
  if (growing === undefined) return { verdict: first, trust };
  // The bundle may be of a log that was closed since: its keys are those of its own entries.
  const closed = first.ok && first.origin !== (growing.origin ?? first.origin);
  const logId = closed ? logIdOf(first.origin) : undefined;
  const all = closed ? await fetchKeys(client, { logId }) : growing;
  if (all === undefined) return { verdict: first, trust };
  const followed = await followKeys(context, options, trust, all.logKeyStarts);
  const verdict = first.ok ? first : verifyBundleFile(bytes, followed);
  if (!verdict.ok) return { verdict, trust: followed };
  const then = await fetchKeys(client, { logId, treeSize: verdict.treeSize });
  return {
    verdict: then === undefined ? verdict : verifyRetirement(verdict, then.receiptKeys, nodeVerifiers),
    trust: followed,
  };
}
