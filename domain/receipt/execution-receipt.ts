import type { Failure } from '../failure.ts';
import { TERMINAL_OUTCOMES, type TerminalOutcome } from '../states.ts';
import { readDocument } from './document.ts';
import {
  amount,
  anything,
  count,
  decimal,
  flag,
  list,
  nullable,
  object,
  oneOf,
  optional,
  record,
  sha256Hex,
  text,
  time,
  type Shape,
} from './shape.ts';

export const EXECUTION_RECEIPT = 'execution-receipt/v1';

/** What the work was asked by. `form` and `public_key` say how a signed job spec was verified and whose it is. */
export interface Origin {
  kind: string;
  id: string;
  /** Of the bytes exactly as they were received. */
  spec_sha256: string;
  form?: string;
  public_key?: string;
}

export interface ReceiptRegion {
  /** The region that the job asked for. */
  requested: string | null;
  /** The region of the job's `fallback_regions` that the deciding attempt was sent to instead. */
  fallback?: string;
  claimed: string | null;
  observed: string | null;
  verified: boolean;
  method: string;
  /** What `method` rests on, such as the provider's property, the address that was seen and the tables that were asked. */
  evidence?: Record<string, unknown>;
  /** Of the canonical JSON of `evidence`. */
  evidence_sha256?: string;
}

/** What a paid place cost, in decimal strings with 18 digits. */
export interface ReceiptCost {
  /** Payment platform, such as `erc20-polygon-glm`. */
  platform: string;
  /** No more than this could have been accepted. */
  cap: string;
  /** What had been accepted when the receipt was made; paid on chain later. */
  accepted?: string;
  /** `unknown`: some of it had not been accepted yet; `payment.accepted` events tell of it later. */
  state: 'accepted' | 'unknown';
}

export interface ReceiptAttempt {
  attempt: number;
  state: string;
  backend: string;
  provider: string | null;
  region: string | null;
  failure?: Failure;
  started_at: string | null;
  ended_at: string | null;
  duration_ms: number | null;
  cost?: ReceiptCost;
}

export interface ReceiptOutput {
  sha256: string;
  size: number;
  cid?: string;
  /** The output itself, when it is small and well-formed UTF-8. */
  inline?: string;
}

export interface ReceiptFile {
  name: string;
  size: number;
  mime: string;
  sha256: string;
  /** Null above the size of one block. */
  cid: string | null;
}

/**
 * The signed statement of what was run where, on what, with which output (docs/receipt.md). Every member without `?` is
 * always there; what is not known is null, never zero or empty. Times are those of the deciding attempt.
 */
export interface ExecutionReceipt {
  type: typeof EXECUTION_RECEIPT;
  execution_id: string;
  origin: Origin;
  /** The execution that this one tries again. */
  follows?: string;
  model?: string;
  question?: { index: number; text: string };
  outcome: TerminalOutcome;
  failure?: Failure;
  /** Null when it was never placed. */
  backend: string | null;
  region: ReceiptRegion | null;
  provider: string | null;
  image_requested: string;
  /** Digest of what really ran, or `none: host userland`. */
  image_executed: string | null;
  isolation: string | null;
  attempts: ReceiptAttempt[];
  /** Wall clock. */
  started_at: string | null;
  /** Monotonic. */
  duration_ms: number | null;
  input_sha256: string;
  output: ReceiptOutput | null;
  files: ReceiptFile[];
  /** Of all attempts together. */
  cost?: ReceiptCost;
  /** Limit to enforced value; null where the machine could not enforce it. */
  limits: Record<string, number | null>;
  /** Wall clock of the signing worker. */
  ended_at: string;
  /** 32 random bytes in hex: keeps a guessable receipt from being found by its hash. */
  salt: string;
  software: { name: string; version: string };
}

export const originShape: Shape<Origin> = object<Origin>({
  kind: text,
  id: text,
  spec_sha256: sha256Hex,
  form: optional(text),
  public_key: optional(text),
});

export const softwareShape = object<{ name: string; version: string }>({ name: text, version: text });

export const failureShape = object<Failure>({
  // A verifier must read receipts of catalogues newer than its own.
  code: text as Shape<Failure['code']>,
  message: text,
  retryable: flag,
  mendable: flag,
  source: text as Shape<Failure['source']>,
});

const costShape = object<ReceiptCost>({
  platform: text,
  cap: decimal,
  accepted: optional(decimal),
  state: oneOf('accepted', 'unknown'),
});

const receiptShape = object<ExecutionReceipt>({
  type: oneOf(EXECUTION_RECEIPT),
  execution_id: text,
  origin: originShape,
  follows: optional(text),
  model: optional(text),
  question: optional(object<{ index: number; text: string }>({ index: count, text })),
  outcome: oneOf(...TERMINAL_OUTCOMES),
  failure: optional(failureShape),
  backend: nullable(text),
  region: nullable(
    object<ReceiptRegion>({
      requested: nullable(text),
      fallback: optional(text),
      claimed: nullable(text),
      observed: nullable(text),
      verified: flag,
      method: text,
      evidence: optional(record<unknown>(anything)),
      evidence_sha256: optional(sha256Hex),
    }),
  ),
  provider: nullable(text),
  image_requested: text,
  image_executed: nullable(text),
  isolation: nullable(text),
  attempts: list(
    object<ReceiptAttempt>({
      attempt: count,
      state: text,
      backend: text,
      provider: nullable(text),
      region: nullable(text),
      failure: optional(failureShape),
      started_at: nullable(time),
      ended_at: nullable(time),
      duration_ms: nullable(amount),
      cost: optional(costShape),
    }),
  ),
  started_at: nullable(time),
  duration_ms: nullable(amount),
  input_sha256: sha256Hex,
  output: nullable(
    object<ReceiptOutput>({ sha256: sha256Hex, size: count, cid: optional(text), inline: optional(text) }),
  ),
  files: list(
    object<ReceiptFile>({ name: text, size: count, mime: text, sha256: sha256Hex, cid: nullable(text) }),
  ),
  cost: optional(costShape),
  limits: record(nullable(amount)),
  ended_at: time,
  salt: sha256Hex,
  software: softwareShape,
});

/** Throws ReceiptError unless these are the canonical bytes of a whole receipt. */
export function parseExecutionReceipt(bytes: Uint8Array): ExecutionReceipt {
  return readDocument(bytes, receiptShape);
}
