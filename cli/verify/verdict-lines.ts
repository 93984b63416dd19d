import type { Accepted, ErasedExecution, Link, Rejected } from '../../domain/receipt/verdict.ts';
import type { Colours } from '../text/colour.ts';
import { printable } from '../text/printable.ts';

/** What each link is, for somebody who never saw one broken. */
const MEANING: Record<Link, string> = {
  bundle: 'the file cannot be read as a bundle',
  spec: 'the job spec was altered, or is not the one that was signed for',
  summary: 'the summary of the job was altered',
  receipt: 'a receipt was altered',
  dsse: 'an envelope was altered, or is not signed by the receipt key',
  statement: 'what was signed is not what the document says',
  leaf: 'a log entry is not the one of its envelope',
  checkpoint: 'no trusted key signed the head of the log',
  proof: 'an entry does not stand in the log',
  key: 'the receipt key is not in the log, or not one that is trusted',
  completeness: "the receipts are not exactly the job's: some left out, repeated or exchanged",
};

export function acceptedLines(verdict: Accepted, colours: Colours): string[] {
  if (verdict.kind === 'erased') return erasedLines(verdict, colours);
  const what = verdict.kind === 'job' ? `job ${printable(verdict.jobId ?? '')}` : 'execution';
  const count = verdict.executions.length;
  return [
    `${colours.green('VERIFIED')} ${what}: ${verdict.outcome}`,
    ...(verdict.specForm === undefined ? [] : [`  spec        signed by its key, form ${verdict.specForm}`]),
    `  receipts    ${count} of ${count + (verdict.erased?.length ?? 0)}, signed by ${verdict.receiptKeyIds.map(printable).join(', ')}`,
    `  log         ${printable(verdict.origin)}, ${verdict.treeSize} entries, root ${verdict.root}`,
    ...executionLines(verdict.executions),
    ...(verdict.erased ?? []).map((one) => `  erased      ${erasedText(one)}`),
    ...verdict.notes.map((note) => colours.dim(`  note        ${printable(note)}`)),
  ];
}

/** A job may have a thousand, and what was proven must not scroll away. */
const SHOWN = 30;

function executionLines(executions: Accepted['executions']): string[] {
  const lines = executions
    .slice(0, SHOWN)
    .map(
      ({ executionId, outcome, receiptCid, logIndex }) =>
        `  execution   ${printable(executionId)} ${outcome}, ${printable(receiptCid)}, log entry ${logIndex}`,
    );
  const rest = executions.slice(SHOWN);
  if (rest.length === 0) return lines;
  const counts = new Map<string, number>();
  for (const { outcome } of rest) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  const said = [...counts].map(([outcome, count]) => `${count} ${outcome}`).join(', ');
  return [...lines, `  and         ${rest.length} more: ${said}; --json lists all of them`];
}

/** Nothing is left that could be verified, and the log proves that this is so on purpose. */
function erasedLines(verdict: Accepted, colours: Colours): string[] {
  return [
    `${colours.bold('ERASED')} execution: its receipt was removed by the operator`,
    ...(verdict.erased ?? []).map((one) => `  erased      ${erasedText(one)}`),
    `  log         ${printable(verdict.origin)}, ${verdict.treeSize} entries, root ${verdict.root}`,
    ...verdict.notes.map((note) => colours.dim(`  note        ${printable(note)}`)),
  ];
}

function erasedText({
  executionId,
  receiptCid,
  reason,
  erasedAt,
  logIndex,
  origin,
}: ErasedExecution): string {
  const facts = [
    executionId,
    `on ${erasedAt}`,
    receiptCid,
    `log entry ${logIndex}${origin === undefined ? '' : ` of ${printable(origin)}`}`,
  ];
  return `${facts.map(printable).join(', ')}: ${printable(reason)}`;
}

export function rejectedLines({ link, where, reason }: Rejected, colours: Colours): string[] {
  return [
    `${colours.red('NOT VERIFIED')}: the chain breaks at ${colours.bold(link)}${where === '' ? '' : ` (${printable(where)})`}`,
    `  ${printable(reason)}`,
    `  this means: ${MEANING[link]}`,
  ];
}
