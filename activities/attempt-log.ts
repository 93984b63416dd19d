import type { OutputLine } from '../backends/backend.ts';
import { LIMITS } from '../domain/limits.ts';
import type { LogRow } from '../store/attempt-logs.ts';

/** Lines wait at most this long before they are kept, so that `beacon execution logs -f` follows a running program. */
const FLUSH_EVERY_MS = 300;
const FLUSH_AT_BYTES = 64 * 1024;

export interface AttemptLog extends AsyncDisposable {
  add(line: OutputLine): void;
}

/** Keeps the lines of one attempt, bounded; `keep` failing drops lines (the output itself is kept elsewhere), never the attempt. */
export function createAttemptLog(keep: (rows: LogRow[]) => Promise<void>): AttemptLog {
  let waiting: LogRow[] = [];
  let waitingBytes = 0;
  let total = 0;
  let seq = 0;
  let cut = false;
  let writing = Promise.resolve();

  const flush = (): void => {
    if (waiting.length === 0) return;
    const rows = waiting;
    waiting = [];
    waitingBytes = 0;
    writing = writing.then(() => keep(rows)).catch(() => undefined);
  };
  const push = (line: OutputLine): void => {
    waiting.push({ seq: ++seq, ...line });
    waitingBytes += line.line.length;
    if (waitingBytes >= FLUSH_AT_BYTES) flush();
  };
  const timer = setInterval(flush, FLUSH_EVERY_MS);

  return {
    add(line) {
      if (cut) return;
      total += Buffer.byteLength(line.line) + 1;
      if (total > LIMITS.attemptLogBytes) {
        cut = true;
        push({ ...line, source: 'system', line: `log cut at ${LIMITS.attemptLogBytes} bytes` });
        return;
      }
      push(line);
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      flush();
      await writing;
    },
  };
}
