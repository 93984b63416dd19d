import { reachesRate } from '../jobspec/success.ts';
import { TERMINAL_OUTCOMES } from '../states.ts';
import type { ExecutionReceipt } from './execution-receipt.ts';
import type { JobSummary, SummaryExecution } from './job-summary.ts';
import { demand, type SpecFacts } from './verdict.ts';

export interface FoundReceipt {
  receipt: ExecutionReceipt;
  /** Hex. */
  sha256: string;
  where: string;
}

/**
 * That a job's receipts are exactly those of its summary: none left out, none twice, none of another job, each with the
 * outcome and predecessor that the summary states, and that numbers and outcome follow from them.
 */
export function verifyCompleteness(
  summary: JobSummary,
  found: readonly FoundReceipt[],
  spec: SpecFacts,
): void {
  const listed = new Map(summary.executions.map((execution) => [execution.execution_id, execution]));
  check(listed.size === summary.executions.length, 'summary', 'the summary lists an execution twice');
  const seen = new Set<string>();
  for (const { receipt, sha256, where } of found) {
    const execution = listed.get(receipt.execution_id);
    check(execution !== undefined, where, `execution ${receipt.execution_id} is not in the summary`);
    check(!seen.has(receipt.execution_id), where, `execution ${receipt.execution_id} is there twice`);
    seen.add(receipt.execution_id);
    checkReceipt(summary, execution, receipt, sha256, where);
  }
  for (const id of listed.keys())
    check(seen.has(id), 'executions', `the receipt of execution ${id} is missing`);
  checkNumbers(summary);
  checkOutcome(summary, listed, spec);
}

function check(holds: boolean, where: string, reason: string): asserts holds {
  demand(holds, 'completeness', where, reason);
}

function checkReceipt(
  summary: JobSummary,
  execution: SummaryExecution,
  receipt: ExecutionReceipt,
  sha256: string,
  where: string,
): void {
  check(execution.receipt_sha256 === sha256, where, 'the summary names another receipt for this execution');
  check(execution.outcome === receipt.outcome, where, 'the summary states another outcome');
  check(execution.follows === receipt.follows, where, 'the summary states another predecessor');
  const { origin } = receipt;
  const sameJob =
    origin.kind === summary.origin.kind &&
    origin.id === summary.origin.id &&
    origin.spec_sha256 === summary.origin.spec_sha256;
  check(sameJob, where, 'the receipt is of another job or spec');
  const ran = receipt.region?.fallback ?? receipt.region?.requested ?? null;
  const ranThere = receipt.outcome !== 'completed' || execution.region === ran;
  check(ranThere, where, 'the summary counts it for another region');
}

function checkNumbers({ counts, executions }: JobSummary): void {
  check(counts.total === executions.length, 'summary', 'the total is not the number of executions');
  for (const outcome of TERMINAL_OUTCOMES) {
    const number = executions.filter((execution) => execution.outcome === outcome).length;
    check(counts[outcome] === number, 'summary', `the number of ${outcome} executions is wrong`);
  }
}

/** The job's current answers are the last of each chain of follow-ups; the success rule looks at those. */
function checkOutcome(
  summary: JobSummary,
  listed: ReadonlyMap<string, SummaryExecution>,
  spec: SpecFacts,
): void {
  const followed = new Set<string>();
  for (const { follows } of summary.executions) {
    if (follows === undefined) continue;
    check(listed.has(follows), 'summary', `execution ${follows} was followed, but is not there`);
    check(!followed.has(follows), 'summary', `execution ${follows} is followed twice`);
    followed.add(follows);
  }
  const current = summary.executions.filter((execution) => !followed.has(execution.execution_id));
  const planned = summary.executions.filter((execution) => execution.follows === undefined).length;
  check(current.length === planned, 'summary', 'the follow-ups run in a circle');
  if (spec.planned !== undefined) {
    check(
      planned === spec.planned,
      'summary',
      `the job spec asks for ${spec.planned} executions, not ${planned}`,
    );
  }
  const { rule } = summary;
  if (spec.rule !== undefined) {
    const same =
      spec.rule.min_regions === rule.min_regions && spec.rule.min_success_rate === rule.min_success_rate;
    check(same, 'summary', 'the success rule is not that of the job spec');
  }

  const completed = current.filter((execution) => execution.outcome === 'completed');
  const regions = new Set(completed.flatMap((execution) => execution.region ?? []));
  const met =
    reachesRate(completed.length, planned, rule.min_success_rate) && regions.size >= rule.min_regions;
  const outcomes = met ? ['completed', 'cancelled', 'expired'] : ['failed', 'cancelled', 'expired'];
  check(
    outcomes.includes(summary.outcome),
    'summary',
    `the outcome ${summary.outcome} does not follow from the rule`,
  );
  const stopped = summary.outcome === 'cancelled' || summary.outcome === 'expired';
  check(
    !stopped || completed.length < planned,
    'summary',
    'a job whose executions all completed is completed',
  );
}
