import { utf8 } from '../../domain/encoding.ts';
import type { JobBundle } from '../../domain/receipt/bundle.ts';
import { parseExecutionReceipt, type ExecutionReceipt } from '../../domain/receipt/execution-receipt.ts';
import type { Accepted } from '../../domain/receipt/verdict.ts';
import type { Context } from '../context.ts';
import { duration } from '../text/duration.ts';
import { printable } from '../text/printable.ts';
import { renderTable, type Column } from '../text/table.ts';

/** What the demo tells of one execution: all of it from the receipt and the verdict, nothing from the API's word. */
export interface ExecutionResult {
  execution_id: string;
  region: string | null;
  region_verified: boolean;
  question: string | null;
  answer: string | null;
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
    question: receipt.question?.text ?? null,
    answer: receipt.output?.inline ?? null,
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
  { title: 'QUESTION', shrinkTo: 8 },
  { title: 'PROVIDER', shrinkTo: 6 },
  { title: 'ISOLATION' },
  { title: 'IMAGE', shrinkTo: 13, ends: true },
  { title: 'TIME', align: 'right' },
  { title: 'OUTCOME' },
  { title: 'CID', shrinkTo: 13, ends: true },
  { title: 'LOG', align: 'right' },
  { title: 'VERDICT' },
];

export function resultLines(results: readonly ExecutionResult[], { colours, io }: Context): string[] {
  const rows = results.map((result) => [
    printable(result.region ?? '-'),
    printable(result.question ?? ''),
    printable(result.provider ?? '-'),
    printable(result.isolation ?? '-'),
    printable(result.image ?? '-'),
    result.duration_ms === null ? '-' : duration(result.duration_ms),
    result.outcome,
    result.cid,
    String(result.log_index),
    result.verdict,
  ]);
  const [head = '', ...lines] = renderTable(COLUMNS, rows, io.stdout.isTty ? io.stdout.columns() : Infinity);
  return [colours.dim(head), ...lines.map((line) => line.replace(/verified$/, colours.green('verified')))];
}

/** What the receipts do not prove, said as plainly as what they do. */
export function cautions(
  results: readonly ExecutionResult[],
  { colours }: Pick<Context, 'colours'>,
): string[] {
  const lines: string[] = [];
  if (results.some(({ isolation }) => isolation === 'process')) {
    lines.push(
      colours.bold(
        colours.yellow(
          'NOT ISOLATED: these programs ran as bare processes of this machine (isolation: process).',
        ),
      ),
      '  They are programs shipped with Beacon, allowed by their digest; nothing else runs this way.',
      '  For a sandbox install bubblewrap, or Docker or Podman; `beacon doctor` says how.',
    );
  }
  if (results.some(({ region, region_verified }) => region !== null && !region_verified)) {
    lines.push(
      'The regions above are those that the job asked for: one machine played all three, and the receipts say so',
      '  (region.verified: false). Providers of a network prove where they are.',
    );
  }
  return lines;
}
