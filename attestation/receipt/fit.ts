import { utf8 } from '../../domain/encoding.ts';
import { canonicalJson } from '../../domain/json/jcs.ts';
import { LIMITS } from '../../domain/limits.ts';
import type { ExecutionReceipt } from '../../domain/receipt/execution-receipt.ts';

/** Attempts that a receipt too large keeps: the first ones and the last, which decided. */
const KEPT_ATTEMPTS = 64;

/**
 * A receipt that fits one block. What is cut is evidence that stands elsewhere under its hash or number: first the output's
 * text (hash, size and CID stay), then the middle of a very long list of attempts (their numbers show the gap).
 */
export function fitReceipt(receipt: ExecutionReceipt): ExecutionReceipt {
  if (fits(receipt)) return receipt;
  const { output, attempts } = receipt;
  const withoutText: ExecutionReceipt = {
    ...receipt,
    output: output === null ? null : omitInline(output),
  };
  if (fits(withoutText)) return withoutText;
  return {
    ...withoutText,
    attempts: [...attempts.slice(0, KEPT_ATTEMPTS / 2), ...attempts.slice(-KEPT_ATTEMPTS / 2)],
  };
}

function fits(receipt: ExecutionReceipt): boolean {
  return utf8(canonicalJson(receipt)).length <= LIMITS.receiptBytes;
}

function omitInline({ inline: _inline, ...rest }: NonNullable<ExecutionReceipt['output']>) {
  return rest;
}
