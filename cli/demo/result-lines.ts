import { utf8 } from '../../domain/encoding.ts';
import type { JobBundle } from '../../domain/receipt/bundle.ts';
import { parseExecutionReceipt, type ExecutionReceipt } from '../../domain/receipt/execution-receipt.ts';
import type { Accepted } from '../../domain/receipt/verdict.ts';
import type { Context } from '../context.ts';
import { duration } from '../text/duration.ts';
import { printable } from '../text/printable.ts';
import { renderTable, type Column } from '../text/table.ts';
import { cut } from '../text/width.ts';

/** What the demo tells of one execution: all of it from the receipt and the verdict, nothing from the API's word. */
export interface ExecutionResult {
  execution_id: string;
  region: string | null;
  region_verified: boolean;
  model: string | null;
  question: string | null;
  question_index: number | null;
  answer: string | null;
  failure: string | null;
  backend: string | null;
  provider: string | null;
  isolation: string | null;
  image: string | null;
  duration_ms: number | null;
  outcome: string;
  cid: string;
  log_index: number;
  verdict: 'verified';
}

export function executionResults(bundle: JobBundle, verdict: Accepted): ExecutionResult[] {
  return bundle.executions.map((link, at) => {
    const receipt = parseExecutionReceipt(utf8(link.receipt));
    const checked = verdict.executions[at];
    if (checked?.executionId !== receipt.execution_id) throw new TypeError('verdict and bundle disagree');
    return resultOf(receipt, checked.receiptCid, checked.logIndex);
  });
}

function resultOf(receipt: ExecutionReceipt, cid: string, logIndex: number): ExecutionResult {
  return {
    execution_id: receipt.execution_id,
    region: receipt.region?.requested ?? null,
    region_verified: receipt.region?.verified ?? false,
    model: receipt.model ?? null,
    question: receipt.question?.text ?? null,
    question_index: receipt.question?.index ?? null,
    answer: receipt.output?.inline ?? null,
    failure: receipt.failure?.code ?? null,
    backend: receipt.backend,
    provider: receipt.provider,
    isolation: receipt.isolation,
    image: receipt.image_executed ?? receipt.image_requested,
    duration_ms: receipt.duration_ms,
    outcome: receipt.outcome,
    cid,
    log_index: logIndex,
    verdict: 'verified',
  };
}

const COLUMNS: readonly Column[] = [
  { title: 'REGION' },
  { title: 'MODEL' },
  { title: 'Q', align: 'right' },
  { title: 'PROVIDER', shrinkTo: 8 },
  { title: 'ISOLATION' },
  { title: 'IMAGE', shrinkTo: 9, ends: true },
  { title: 'TIME', align: 'right' },
  { title: 'OUTCOME' },
  { title: 'CID', shrinkTo: 9, ends: true },
  { title: 'LOG', align: 'right' },
  { title: 'VERDICT' },
];

export function resultLines(
  results: readonly ExecutionResult[],
  { colours, io }: Pick<Context, 'colours' | 'io'>,
): string[] {
  const rows = results.map((result) => [
    printable(result.region ?? '-'),
    printable(result.model ?? ''),
    result.question_index === null ? '' : String(result.question_index + 1),
    printable(result.provider ?? '-'),
    printable(result.isolation ?? ''),
    printable(result.image ?? '-'),
    result.duration_ms === null ? '-' : duration(result.duration_ms),
    result.outcome === 'completed' ? '' : result.outcome,
    result.cid,
    String(result.log_index),
    result.verdict,
  ]);
  // A column that says nothing new is left out: questions when there are none, outcomes when all completed.
  const used = COLUMNS.map((_, at) => rows.some((row) => row[at] !== ''));
  const [head = '', ...lines] = renderTable(
    COLUMNS.filter((_, at) => used[at]),
    rows.map((row) => row.filter((_, at) => used[at])),
    io.stdout.isTty ? io.stdout.columns() : Infinity,
  );
  return [colours.dim(head), ...lines.map((line) => line.replace(/verified$/, colours.green('verified')))];
}

/** The answers side by side: regions (and models, where there are several) that gave the same one stand together. */
export function answerLines(results: readonly ExecutionResult[], { io }: Pick<Context, 'io'>): string[] {
  const width = io.stdout.isTty ? io.stdout.columns() - 1 : Infinity;
  const questions = [...new Set(results.map(({ question_index: index }) => index))];
  const models = new Set(results.map(({ model }) => model)).size;
  const who = ({ region, model }: ExecutionResult): string =>
    printable([region ?? '-', ...(models > 1 && model !== null ? [model] : [])].join(' '));
  return questions.flatMap((index) => {
    const asked = results.filter(({ question_index: of }) => of === index);
    const byAnswer = new Map<string, ExecutionResult[]>();
    for (const result of asked) {
      const given = result.answer === null ? (result.failure ?? 'none') : readable(result.answer);
      byAnswer.set(given, [...(byAnswer.get(given) ?? []), result]);
    }
    const title = index === null ? 'Answers' : `Q${index + 1} ${printable(asked[0]?.question ?? '')}`;
    return [
      title,
      ...[...byAnswer].map(([answer, by]) => {
        return `   ${by.map(who).join(', ')}: ${printable(answer)}`;
      }),
    ].map((line) => cut(line, width));
  });
}

/** The `answer` of an output that has one, else all of it. */
function readable(output: string): string {
  try {
    const { answer } = JSON.parse(output) as { answer?: unknown };
    return typeof answer === 'string' ? answer : output.trim();
  } catch {
    return output.trim();
  }
}

/** What the receipts do not prove, said as plainly as what they do. */
export function cautions(
  results: readonly ExecutionResult[],
  { colours }: Pick<Context, 'colours'>,
): string[] {
  const lines: string[] = [];
  if (results.some(({ isolation }) => isolation === 'process')) {
    lines.push(
      colours.bold(colours.yellow('NOT ISOLATED: these programs ran as bare processes of this machine.')),
      '  They are shipped with Beacon and allowed by their digest; the receipts say "isolation: process".',
      '  For a sandbox install bubblewrap, Docker or Podman; `beacon doctor` says how.',
    );
  }
  const unverified = results.filter(({ region, region_verified: seen }) => region !== null && !seen);
  if (unverified.some(({ backend }) => backend === 'local')) {
    lines.push('REGIONS AS ASKED FOR: one machine played them all; the receipts say so.');
  }
  if (unverified.some(({ backend }) => backend === 'golem')) {
    lines.push('REGIONS AS CLAIMED: providers said where they are and nobody looked; the receipts say so.');
  }
  return lines;
}
