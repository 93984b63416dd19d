import { fromUtf8 } from '../encoding.ts';
import { JsonError } from '../json/error.ts';
import { toPlain } from '../json/node.ts';
import { parseStrictJson } from '../json/parse.ts';
import { ReceiptError } from './error.ts';
import { exact, list, oneOf, optional, text, type Shape } from './shape.ts';

/**
 * Beacon bundles: everything that checking needs, in one JSON file (docs/receipt.md). Receipts, summaries, envelopes and
 * leaves stand in them as strings that hold their exact bytes; a job spec, whose bytes are somebody else's, as base64.
 */
export const EXECUTION_BUNDLE = 'application/vnd.beacon.execution-bundle.v1+json';
export const JOB_BUNDLE = 'application/vnd.beacon.job-bundle.v1+json';

export const ERASURE_BUNDLE = 'application/vnd.beacon.erasure-bundle.v1+json';

/** How one document stands in the log. */
export interface LogLink {
  /** The DSSE envelope. */
  dsse: string;
  /** The log entry. */
  leaf: string;
  /** `c2sp.org/tlog-proof@v1`; all of one bundle lead to the same checkpoint. */
  tlog_proof: string;
}

export interface ReceiptLink extends LogLink {
  receipt: string;
}

export interface SummaryLink extends LogLink {
  summary: string;
}

export interface ExecutionBundle extends ReceiptLink {
  media_type: typeof EXECUTION_BUNDLE;
  spec?: string;
  /** The start entry of the key that signed. */
  key_proof: LogLink;
  /** The starts of the receipt keys before it, from the log's first one on; absent where it is the first. */
  key_chain?: LogLink[];
}

export interface JobBundle {
  media_type: typeof JOB_BUNDLE;
  spec: string;
  summary: SummaryLink;
  executions: ReceiptLink[];
  /** The erasures of those that are not among them any more. */
  erased?: LogLink[];
  /** The same where they stand in a log that follows the one of this bundle, which was closed: each whole in itself. */
  erased_later?: ErasureBundle[];
  /** The starts of the log's receipt keys, from the first one on to the newest that signed something here. */
  key_proofs: LogLink[];
}

/** In place of the bundle of an execution that was erased. */
export interface ErasureBundle {
  media_type: typeof ERASURE_BUNDLE;
  erasure: LogLink;
  key_proof: LogLink;
  key_chain?: LogLink[];
}

export type Bundle = ExecutionBundle | JobBundle | ErasureBundle;

const link = { dsse: text, leaf: text, tlog_proof: text };

const executionBundle: Shape<ExecutionBundle> = exact<ExecutionBundle>({
  media_type: oneOf(EXECUTION_BUNDLE),
  spec: optional(text),
  receipt: text,
  ...link,
  key_proof: exact<LogLink>(link),
  key_chain: optional(list(exact<LogLink>(link))),
});

const erasureBundle: Shape<ErasureBundle> = exact<ErasureBundle>({
  media_type: oneOf(ERASURE_BUNDLE),
  erasure: exact<LogLink>(link),
  key_proof: exact<LogLink>(link),
  key_chain: optional(list(exact<LogLink>(link))),
});

const jobBundle: Shape<JobBundle> = exact<JobBundle>({
  media_type: oneOf(JOB_BUNDLE),
  spec: text,
  summary: exact<SummaryLink>({ summary: text, ...link }),
  executions: list(exact<ReceiptLink>({ receipt: text, ...link })),
  erased: optional(list(exact<LogLink>(link))),
  erased_later: optional(list(erasureBundle)),
  key_proofs: list(exact<LogLink>(link)),
});

/**
 * Reads a bundle file; throws ReceiptError `bundle_malformed`. As strict as intake: a key that stands twice would mean one
 * thing here and another to a reader that takes the first.
 */
export function parseBundle(bytes: Uint8Array): Bundle {
  let value: unknown;
  try {
    value = parseAsWritten(bytes) ?? toPlain(parseStrictJson(bytes));
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new ReceiptError('bundle_malformed', `a bundle is strict JSON: ${error.message}`);
  }
  return readBundle(value);
}

/** What JSON.stringify writes in a string and strict JSON refuses there. */
const NUL_OR_LONE_SURROGATE = /\\u(?:0000|d[89a-f])/;

/**
 * A text as JSON.stringify writes it, as bundles come from a service: there every key stands once, and every number is its
 * double. So what reads and compares it can be the engine's own code, several times faster in a page that runs ours for the
 * first time. Undefined for every other text, and where the strict reader might say more.
 */
function parseAsWritten(bytes: Uint8Array): unknown {
  const text = fromUtf8(bytes);
  if (text === undefined || NUL_OR_LONE_SURROGATE.test(text)) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return JSON.stringify(value) === text ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The same for a value that is parsed already. */
export function readBundle(value: unknown): Bundle {
  const mediaType: unknown = (value as { media_type?: unknown } | null)?.media_type;
  try {
    if (mediaType === EXECUTION_BUNDLE) return executionBundle.read(value, '');
    if (mediaType === JOB_BUNDLE) return jobBundle.read(value, '');
    if (mediaType === ERASURE_BUNDLE) return erasureBundle.read(value, '');
  } catch (error) {
    throw new ReceiptError('bundle_malformed', error instanceof Error ? error.message : String(error));
  }
  throw new ReceiptError('bundle_malformed', 'media_type names no bundle that this version reads');
}
