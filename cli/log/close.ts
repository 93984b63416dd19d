import path from 'node:path';
import { loadLogKeyring } from '../../attestation/keys/log-keyring.ts';
import { loadReceiptKey } from '../../attestation/keys/receipt-key.ts';
import { closeAndFollow } from '../../attestation/log/close.ts';
import { fileGuard, forgettingClosed } from '../../attestation/log/guard.ts';
import { settle } from '../../attestation/log/settle.ts';
import { isKeyName } from '../../domain/log/vkey.ts';
import { listClosedLogs } from '../../store/log-close.ts';
import type { Context } from '../context.ts';
import { CliError } from '../failure.ts';
import { printable } from '../text/printable.ts';
import { withLog } from './database.ts';

/** `beacon log close`: this log is never signed again, and another one follows it. */
export async function closeTheLog(
  context: Context,
  options: { origin?: string; yes?: boolean },
): Promise<undefined> {
  if (options.origin !== undefined && !isKeyName(options.origin))
    throw new CliError('usage', '--origin has white space or a plus');
  await withLog(context, async ({ pool, databaseUrl, log, keys, waits }) => {
    if (options.yes !== true) {
      throw new CliError(
        'usage',
        `this ends ${log.origin} for ever; every proof of it stays, and nothing is added`,
        {
          next: 'say --yes to mean it (docs/runbook.md, Closing a log)',
        },
      );
    }
    if (log.followsOthers && log.size === 0)
      throw new CliError('refused', `${log.origin} has no entry yet: there is nothing to close`);
    const closed = (await listClosedLogs(pool)).map(({ origin }) => origin);
    if (options.origin !== undefined && [log.origin, ...closed].includes(options.origin))
      throw new CliError('usage', `${options.origin} is the origin of a log already`);
    const key = await loadReceiptKey(keys.receipt);
    const guard = fileGuard(path.join(context.stateDir, 'log-guard.json'));
    const logKeys = () => loadLogKeyring({ current: keys.log, next: keys.nextLog }, { logIsNew: false });
    const unsigned = await settle({
      pool,
      databaseUrl,
      logId: log.logId,
      guard: forgettingClosed(guard, (origin) => Promise.resolve(closed.includes(origin))),
      logKeys,
      waits,
    });
    const { next, continues, moved, left, carried, unproven } = await closeAndFollow(pool, log, key, {
      guard,
      origin: options.origin,
    });
    if (context.json) {
      context.document({
        closed: log.origin,
        size: continues.size,
        root: continues.root,
        origin: next.origin,
        log_id: next.logId,
        receipt_key_id: key.id,
        moved,
        left,
        carried,
        unsigned: unsigned ?? null,
        unproven: unproven.map(({ index, subjectKind, subjectId }) => ({
          index,
          subject_kind: subjectKind,
          subject_id: subjectId,
        })),
      });
      return;
    }
    context.line(`closed ${printable(log.origin)} at ${continues.size} entries`);
    context.line(`${next.origin} follows; its entry 0 names the last checkpoint, signed by ${key.id}`);
    context.note(`${moved} pending entries go into it; ${left} of other receipt keys cannot`);
    if (unsigned !== undefined || carried + unproven.length > 0) {
      context.note(`no checkpoint covers its last entries: ${printable(unsigned ?? 'they came meanwhile')}`);
      context.note(`${carried} of them go into the next log as well; ${unproven.length} are proven by none`);
      for (const { index, subjectKind, subjectId } of unproven)
        context.line(`not proven: entry ${index}, ${subjectKind} ${printable(subjectId)}`);
    }
    context.note(
      'relays end by themselves and begin the new log, with a new key, when they are started again',
    );
    context.note('a BEACON_LOG_KEY_PEM has to be replaced, and a LOG_ORIGIN to name the new origin');
  });
  return undefined;
}
