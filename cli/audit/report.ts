import { FINDINGS, type Findings } from '../../domain/log/audit/finding.ts';
import type { RememberedHead } from '../../domain/log/audit/head.ts';
import { toHex } from '../../domain/encoding.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../failure.ts';
import { counted } from '../text/counted.ts';
import { printable } from '../text/printable.ts';

/** Of more only the number is printed; `--json` has all that were kept. */
const SHOWN = 50;

export interface AuditReport {
  log: string;
  head: RememberedHead | undefined;
  /** Entries that an earlier, interrupted or finished, audit had looked at. */
  from: number;
  /** What was looked at, for people. */
  checked: string;
  findings: Findings;
}

/** Says what an audit found, and the audits of the closed logs beside it; the exit code. */
export function report(context: Context, found: AuditReport, closed: readonly AuditReport[] = []): number {
  const all = [found, ...closed];
  const ok = all.every(({ findings }) => findings.list.length === 0);
  if (context.json) {
    const others = closed.length === 0 ? {} : { closed_logs: closed.map(asDocument) };
    context.document({ ...asDocument(found), ok, ...others });
  } else for (const one of all) print(context, one);
  return ok ? EXIT.ok : EXIT.failed;
}

function asDocument({ log, head, from, findings: { list, dropped } }: AuditReport) {
  return {
    ok: list.length === 0,
    log,
    origin: head?.origin ?? null,
    tree_size: head?.size ?? null,
    root: head === undefined ? null : toHex(head.root),
    audited_from: from,
    findings: list,
    findings_dropped: dropped,
  };
}

function print(context: Context, { log, head, from, checked, findings }: AuditReport): void {
  const { list, dropped } = findings;
  const { colours } = context;
  const named =
    head === undefined
      ? printable(log)
      : `${printable(head.origin)}, ${head.size} entries, root ${toHex(head.root)}`;
  if (list.length === 0) {
    context.line(`${colours.green('CLEAN')} ${named}`);
    context.line(`  checked     ${checked}${from > 0 ? `, from entry ${from} on` : ''}`);
    return;
  }
  context.line(`${colours.red('NOT CLEAN')} ${named}: ${counted(list.length + dropped, 'finding')}`);
  for (const { code, where, reason } of list.slice(0, SHOWN)) {
    context.line(`  ${colours.bold(code)}  ${printable(where)}: ${printable(reason)}`);
    context.line(colours.dim(`    this means: ${FINDINGS[code]}`));
  }
  if (list.length > SHOWN) context.line(`  and ${list.length + dropped - SHOWN} more (--json has them)`);
}
