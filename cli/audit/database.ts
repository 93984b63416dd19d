import { nodeSha256 } from '../../attestation/keys/node-verifiers.ts';
import { createRecordAudit } from '../../attestation/log/record-audit.ts';
import { createStoredAudit } from '../../attestation/log/stored-audit.ts';
import { Findings } from '../../domain/log/audit/finding.ts';
import { parseVkey } from '../../domain/log/vkey.ts';
import { listClosedLogs } from '../../store/log-close.ts';
import { readKeys } from '../../store/log-keys.ts';
import type { Pool } from '../../store/pool.ts';
import type { AuditOptions } from '../commands/audit.ts';
import type { Context } from '../context.ts';
import { CliError } from '../failure.ts';
import { withLog } from '../log/database.ts';
import { memoryFile, readMemory, writeMemory } from './memory.ts';
import { createProgress } from './progress.ts';
import { report, type AuditReport } from './report.ts';

const SAVE_EVERY_MS = 2_000;

/** `beacon audit --db`: the tables themselves, of the log that grows and of all that were closed, and what entries are about. */
export async function auditDatabase(context: Context, options: AuditOptions): Promise<number> {
  return withLog(context, async ({ pool, log }) => {
    const found = await auditStored(context, pool, log, options);
    const closed: AuditReport[] = [];
    for (const one of await listClosedLogs(pool)) {
      const memory = options.memory === undefined ? {} : { memory: `${options.memory}.${one.logId}` };
      const vkey = options.vkey?.startsWith(`${one.origin}+`) === true ? options.vkey : undefined;
      closed.push(await auditStored(context, pool, one, { ...options, ...memory, vkey }, false));
    }
    return report(context, found, closed);
  });
}

async function auditStored(
  context: Context,
  pool: Pool,
  { logId }: { logId: string },
  options: { [K in keyof AuditOptions]: AuditOptions[K] | undefined },
  /** Whether executions and blocks are looked at too, which belong to no log. */
  whole = true,
): Promise<AuditReport> {
  const log = `database of ${logId}`;
  const file = memoryFile(context, log, options.memory);
  const memory = await readMemory(file, log);
  const from = options.sinceLast === true ? memory.audited : memory.interrupted;
  const findings = new Findings();
  const keys = async () => {
    const vkeys =
      options.vkey === undefined
        ? (await readKeys(pool, logId)).flatMap(({ vkey }) => vkey ?? [])
        : [options.vkey];
    return vkeys.map((vkey) => parseVkey(vkey, nodeSha256));
  };
  const tree = createStoredAudit({ pool, logId, keys, findings, remembered: memory.head, from });
  const stopped = () => context.io.signal.aborted;
  const progress = createProgress(context, () => tree.goal);
  let saved = performance.now();
  while (!(await tree.next())) {
    progress.at(tree.edge.size);
    if (!stopped() && performance.now() - saved < SAVE_EVERY_MS) continue;
    saved = performance.now();
    if (findings.list.length === 0) await writeMemory(file, log, { ...memory, interrupted: tree.edge });
    if (stopped())
      throw new CliError('interrupted', 'interrupted; the same command goes on where it stopped', {
        cause: context.io.signal.reason,
      });
  }
  const head = findings.list.length === 0 ? tree.reached : undefined;
  const records = createRecordAudit(pool, logId, findings, { whole });
  while (!(await records.next(tree.goal))) {
    if (stopped()) throw new CliError('interrupted', 'interrupted', { cause: context.io.signal.reason });
  }
  const clean = findings.list.length === 0;
  await writeMemory(
    file,
    log,
    clean ? { head, audited: tree.edge, interrupted: undefined } : { ...memory, interrupted: undefined },
  );
  return {
    log,
    head: head ?? tree.reached,
    from: from?.size ?? 0,
    checked: `entries, tiles, checkpoints, envelopes, receipts${whole ? ', executions, blocks' : ''}`,
    findings,
  };
}
