import { decideJob } from '../jobspec/success.ts';
import { TERMINAL_OUTCOMES } from '../states.ts';
import type { FoundErasure } from './erasure.ts';
import type { ExecutionReceipt } from './execution-receipt.ts';
import type { JobSummary, SummaryExecution } from './job-summary.ts';
import { describeRow, rowKey, rowOf, type PlannedRow } from './planned-row.ts';
import { demand, type SpecFacts } from './verdict.ts';

export interface FoundReceipt {
  receipt: ExecutionReceipt;
  /** Hex. */
  sha256: string;
  where: string;
}

/**
 * That a job's receipts are exactly those of its summary: none left out, none twice, none of another job, each with the
 * outcome and predecessor that the summary states; that they are the executions which the job spec asks for; and that
 * numbers and outcome follow from them.
 */
export function verifyCompleteness(
  summary: JobSummary,
  found: readonly FoundReceipt[],
  spec: SpecFacts,
  erased: readonly Pick<FoundErasure, 'execution_id' | 'receiptSha256'>[] = [],
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
  for (const [i, { execution_id: id, receiptSha256 }] of erased.entries()) {
    const where = `erased[${i}]`;
    const execution = listed.get(id);
    check(execution !== undefined, where, `execution ${id} is not in the summary`);
    check(!seen.has(id), where, `execution ${id} is there twice`);
    seen.add(id);
    const same = execution.receipt_sha256 === receiptSha256;
    check(same, where, 'the summary names another receipt for this execution');
  }
  for (const id of listed.keys())
    check(seen.has(id), 'executions', `the receipt of execution ${id} is missing`);
  checkNumbers(summary);
  const gone = new Set(erased.map(({ execution_id: id }) => id));
  checkPlan(found, spec.planned, summary, gone);
  checkImages(found);
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

/** The executions that follow no other are those that the spec plans, and a follower is asked the same as its predecessor. */
function checkPlan(
  found: readonly FoundReceipt[],
  planned: readonly PlannedRow[],
  summary: JobSummary,
  erased: ReadonlySet<string>,
): void {
  const byId = new Map(found.map(({ receipt }) => [receipt.execution_id, receipt]));
  const open = new Map<string, { row: PlannedRow; times: number }>();
  for (const row of planned) {
    const key = rowKey(row);
    open.set(key, { row, times: (open.get(key)?.times ?? 0) + 1 });
  }
  for (const { receipt, where } of found) {
    const row = rowOf(receipt);
    if (receipt.follows !== undefined) {
      if (erased.has(receipt.follows)) continue;
      const first = byId.get(receipt.follows);
      check(first !== undefined, where, `execution ${receipt.follows} was followed, but is not there`);
      check(rowKey(rowOf(first)) === rowKey(row), where, 'it was asked something else than what it follows');
      continue;
    }
    const wanted = open.get(rowKey(row));
    check(wanted !== undefined, where, `the job spec asks for no such execution (${describeRow(row)})`);
    check(wanted.times > 0, where, `the job spec asks for this only once (${describeRow(row)})`);
    wanted.times--;
  }
  // What was asked of an erased one is not known any more; how many there were is.
  const left = [...open.values()].reduce((sum, { times }) => sum + times, 0);
  const gone = summary.executions.filter((one) => erased.has(one.execution_id) && one.follows === undefined);
  if (gone.length > 0 && left === gone.length) return;
  const missing = [...open.values()].find(({ times }) => times > 0);
  if (missing !== undefined)
    check(false, 'executions', `an execution of the job spec is missing (${describeRow(missing.row)})`);
}

/** A tag is one digest for the whole job: what ran under one name was the same everywhere. */
function checkImages(found: readonly FoundReceipt[]): void {
  const digests = new Map<string, string>();
  for (const { receipt, where } of found) {
    const { image_requested: name, image_executed: digest } = receipt;
    // Null ran nothing; the host's own userland in place of an image is told as what it is.
    if (digest === null || !digest.startsWith('sha256:')) continue;
    const same = (digests.get(name) ?? digest) === digest;
    check(same, where, `${name} was another image than in the other receipts of the job`);
    digests.set(name, digest);
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
  let reached = 0;
  for (const last of current) {
    for (let at: SummaryExecution | undefined = last; at !== undefined; at = listed.get(at.follows ?? ''))
      reached++;
  }
  check(reached === summary.executions.length, 'summary', 'follow-ups run in a circle');
  const { rule } = summary;
  const same =
    spec.rule.min_regions === rule.min_regions && spec.rule.min_success_rate === rule.min_success_rate;
  check(same, 'summary', 'the success rule is not that of the job spec');

  // Whether the client asked to cancel stands nowhere in the bundle.
  const outcomes = [false, true].map((cancelRequested) =>
    decideJob({ planned: spec.planned.length, ...spec.rule }, current, cancelRequested),
  );
  check(
    outcomes.includes(summary.outcome),
    'summary',
    `the outcome ${summary.outcome} does not follow from the rule`,
  );
}
