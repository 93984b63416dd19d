import { readKeys, type KeyState } from '../../store/log-keys.ts';
import type { Context } from '../context.ts';
import { printable } from '../text/printable.ts';
import { renderTable } from '../text/table.ts';
import { withLog } from './database.ts';

/** `beacon log keys`: the keys of the log and where in it they start and end. */
export async function logKeys(context: Context): Promise<undefined> {
  await withLog(context, async ({ pool, log }) => {
    const keys = await readKeys(pool, log.logId);
    if (context.json) {
      context.document({
        log_id: log.logId,
        origin: log.origin,
        size: log.size,
        keys: keys.map((key) => ({
          key_id: key.keyId,
          purpose: key.purpose,
          state: stateOf(key),
          start_index: key.startIndex,
          end_index: key.endIndex,
          ...(key.vkey === null ? {} : { vkey: key.vkey }),
        })),
      });
      return;
    }
    context.line(`log  ${printable(log.origin)}, ${log.size} entries`);
    const rows = keys.map((key) => [
      key.purpose,
      key.keyId,
      stateOf(key),
      key.startIndex?.toString() ?? '',
      key.endIndex?.toString() ?? '',
      printable(key.vkey ?? ''),
    ]);
    const titles = ['SIGNS', 'KEY', 'STATE', 'STARTS', 'ENDS', 'VERIFIER KEY'];
    const [head = '', ...lines] = renderTable(
      titles.map((title) => ({ title, whole: true })),
      rows,
      context.io.stdout.isTty ? context.io.stdout.columns() : Infinity,
    );
    context.line(context.colours.dim(head));
    for (const line of lines) context.line(line);
  });
  return undefined;
}

function stateOf({ hasStart, startIndex, ending, endIndex }: KeyState): string {
  if (endIndex !== null) return 'ended';
  if (ending) return 'ending';
  return hasStart && startIndex === null ? 'starting' : 'live';
}
