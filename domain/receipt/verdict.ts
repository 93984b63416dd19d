import type { TerminalOutcome } from '../states.ts';
import type { PlannedRow } from './planned-row.ts';

/** The links of the chain, by the names in which a verdict tells the first one that is broken. */
export const LINKS = [
  /** The file itself cannot be read as a bundle. */
  'bundle',
  /** The job spec: its own signature, and that the receipt is of exactly these bytes. */
  'spec',
  'summary',
  'receipt',
  /** The envelope: its form and its signature by the receipt key. */
  'dsse',
  /** What was signed does not say what the document says. */
  'statement',
  'leaf',
  'checkpoint',
  'proof',
  /** The receipt key: its start entry, or that it is not one that we pinned. */
  'key',
  /** A job's receipts are not exactly those of its summary. */
  'completeness',
] as const;
export type Link = (typeof LINKS)[number];

/** Whom the verifier trusts: the log by its verifier keys (old and new ones while they overlap), nobody else. */
export interface Trust {
  /** C2SP verifier keys of the log, `name+id+key`. */
  vkeys: readonly string[];
  /** The log's origin, when more than the keys' names is to be demanded. */
  origin?: string;
  /** Receipt keys, when only some of those in the log are trusted. */
  receiptKeyIds?: readonly string[];
}

/** What a job spec says, as far as verifying needs it. */
export interface SpecFacts {
  /** The canonical form under which its signature held. */
  form: string;
  /** As it stands in the spec. */
  publicKey: string;
  /** The job's id, when the spec names one. */
  jobId?: string;
  /** The success rule that the spec asks for. */
  rule: { min_regions: number; min_success_rate: number };
  /** Every execution that the spec asks for. */
  planned: readonly PlannedRow[];
}

export interface CheckedExecution {
  executionId: string;
  outcome: TerminalOutcome;
  receiptCid: string;
  logIndex: number;
  /** The receipt key that signed. */
  keyId: string;
}

export interface Accepted {
  ok: true;
  /** `erased`: nothing is left of the execution but the proof that it was erased. */
  kind: 'execution' | 'job' | 'erased';
  origin: string;
  treeSize: number;
  /** Hex. */
  root: string;
  /** Of the job; of the execution for a bundle of one. */
  outcome: TerminalOutcome | 'erased';
  jobId?: string;
  /** Of a job. */
  summary?: { cid: string; logIndex: number; keyId: string };
  specForm?: string;
  receiptKeyIds: string[];
  executions: CheckedExecution[];
  /** Those that an operator erased, each proven by its own entry. */
  erased?: ErasedExecution[];
  /** What was not looked at, for people. */
  notes: string[];
}

/** An execution of which nothing is left but the proof that it was erased. */
export interface ErasedExecution {
  /** The log in which it stands, where that is not the one of the verdict. */
  origin?: string;
  executionId: string;
  receiptCid: string;
  reason: string;
  erasedAt: string;
  logIndex: number;
  keyId: string;
}

export interface Rejected {
  ok: false;
  link: Link;
  /** Where in the bundle, as `summary`, `executions[2]`, `key_proofs[0]`. */
  where: string;
  reason: string;
}

export type Verdict = Accepted | Rejected;

/** Thrown inside the verifier to end at the first broken link. */
export class BrokenLink extends Error {
  readonly code: Link;
  readonly where: string;
  constructor(code: Link, where: string, reason: string) {
    super(reason);
    this.name = 'BrokenLink';
    this.code = code;
    this.where = where;
  }
}

/** Runs a check and turns whatever it throws into `link` being broken. */
export function within<T>(link: Link, where: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (error instanceof BrokenLink) throw error;
    throw new BrokenLink(link, where, error instanceof Error ? error.message : String(error));
  }
}

export function demand(holds: boolean, link: Link, where: string, reason: string): asserts holds {
  if (!holds) throw new BrokenLink(link, where, reason);
}
