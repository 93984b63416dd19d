import { open, readdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Context } from '../context.ts';
import { CliError, codeOf, fileReasonOf } from '../failure.ts';
import { parseSince } from '../text/duration.ts';
import { parseObject, renderLogLine, timeOf, type LogLine } from './log-line.ts';

/** Without --since. */
const LAST_LINES = 200;
/** Read from the end of each file; the file itself holds more. */
const TAIL_BYTES = 4 * 1024 * 1024;
const FOLLOW_MS = 300;

interface LogFile {
  role: string;
  file: string;
  offset: number;
  /** A line whose end was not written yet. */
  rest: string;
  lastMs: number;
}

/** `beacon logs`: the lines of all parts in the order of their times. */
export async function logs(
  context: Context,
  options: { role?: string; since?: string; follow?: boolean },
): Promise<undefined> {
  const since = sinceOf(options.since);
  const files = await logFiles(path.join(context.stateDir, 'logs'), options.role);
  const read = async (): Promise<LogLine[]> => {
    const lines = (await Promise.all(files.map(readNew))).flat();
    return lines.sort((a, b) => a.timeMs - b.timeMs);
  };
  const first = await read();
  show(
    context,
    since === undefined ? first.slice(-LAST_LINES) : first.filter((line) => line.timeMs >= since),
  );
  while (options.follow === true) {
    await delay(FOLLOW_MS, undefined, { signal: context.io.signal });
    show(context, await read());
  }
}

function sinceOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const since = parseSince(text, Date.now());
  if (since !== undefined) return since;
  throw new CliError('usage', `--since: "${text}" is neither a span nor a time`, {
    next: 'for example 10m, 2h, 1d or 2026-01-31T12:00:00Z',
  });
}

async function logFiles(folder: string, role: string | undefined): Promise<LogFile[]> {
  const names = (await listFolder(folder)).filter((name) => name.endsWith('.log'));
  const roles = names.map((name) => name.slice(0, -'.log'.length)).sort();
  if (roles.length === 0) {
    throw new CliError('not_here', `there are no logs in ${folder}`, {
      next: '`beacon up` starts a stack; --state names another folder',
    });
  }
  if (role !== undefined && !roles.includes(role)) {
    throw new CliError('usage', `there is no log of "${role}"`, { next: `there are: ${roles.join(', ')}` });
  }
  return roles
    .filter((name) => role === undefined || name === role)
    .map((name) => ({ role: name, file: path.join(folder, `${name}.log`), offset: -1, rest: '', lastMs: 0 }));
}

async function listFolder(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return [];
    throw unreadable(folder, cause);
  }
}

function unreadable(file: string, cause: unknown): CliError {
  return new CliError('input_unreadable', `cannot read ${file}: ${fileReasonOf(cause)}`, { cause });
}

async function readNew(log: LogFile): Promise<LogLine[]> {
  const handle = await open(log.file, 'r').catch((cause: unknown) => {
    if (codeOf(cause) === 'ENOENT') return undefined;
    throw unreadable(log.file, cause);
  });
  if (handle === undefined) return [];
  try {
    const { size } = await handle.stat();
    const start = log.offset < 0 ? Math.max(0, size - TAIL_BYTES) : log.offset;
    // A file that became shorter was emptied by the stack, which keeps it small.
    const from = start > size ? 0 : start;
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - from), 0, size - from, from);
    const lines = (log.rest + buffer.subarray(0, bytesRead).toString('utf8')).split('\n');
    log.rest = lines.pop() ?? '';
    // The first line of a tail is cut somewhere.
    if (log.offset < 0 && from > 0) lines.shift();
    log.offset = from + bytesRead;
    return lines.flatMap((text) => {
      if (text.trim() === '') return [];
      log.lastMs = timeOf(text, log.lastMs);
      return [{ role: log.role, timeMs: log.lastMs, text }];
    });
  } catch (cause) {
    throw unreadable(log.file, cause);
  } finally {
    await handle.close();
  }
}

function show(context: Context, lines: readonly LogLine[]): void {
  for (const line of lines) {
    if (!context.json) context.line(renderLogLine(line, context.colours));
    else {
      const time = new Date(line.timeMs).toISOString();
      context.record({ role: line.role, time, ...(parseObject(line.text) ?? { msg: line.text }) });
    }
  }
}
