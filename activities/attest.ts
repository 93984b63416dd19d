import type { Attester } from './attester.ts';
import type { AttestReason } from './outcome.ts';

export interface AttestInput {
  job: string;
  /** Indexes in the job's plan, at most 50; `open` = up to 50 that have no receipt. */
  indexes: number[] | 'open';
  reason: AttestReason;
}

export interface AttestResult {
  /** Executions of the job that are still without a receipt. */
  open: number;
}

export type AttestActivities = ReturnType<typeof createAttestActivities>;

export function createAttestActivities(attester: Attester) {
  return {
    /**
     * Ends executions: receipt, terminal state, events and pending log entries in one transaction, which also ends the
     * job when none is left. Repeating it changes nothing: an ended execution keeps the receipt that it has.
     */
    attest: (input: AttestInput): Promise<AttestResult> => attester.attest(input),
  };
}
