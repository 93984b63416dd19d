import type { Colours } from '../text/colour.ts';
import { printable, printableLine } from '../text/printable.ts';

export interface LogLine {
  role: string;
  /** Unix milliseconds; lines without a time of their own have that of the line before. */
  timeMs: number;
  /** As written. */
  text: string;
}

const LEADING_TIME = /^(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d{1,9})?)(?:Z| UTC)?/;
/** What every line says, or what is shown in front of it already. */
const SHOWN_ALREADY = new Set(['time', 'ts', 'level', 'msg', 'role', 'pid', 'hostname', 'v']);

/** When a line was written: a JSON line's `time` (or Temporal's `ts`), PostgreSQL's prefix; else `fallbackMs`. */
export function timeOf(text: string, fallbackMs: number): number {
  const object = parseObject(text);
  const stated = object?.time ?? object?.ts;
  if (typeof stated === 'string') return validMs(Date.parse(stated), fallbackMs);
  if (typeof stated === 'number') return stated;
  const leading = LEADING_TIME.exec(text)?.[1];
  return leading === undefined
    ? fallbackMs
    : validMs(Date.parse(`${leading.replace(' ', 'T')}Z`), fallbackMs);
}

function validMs(ms: number, fallbackMs: number): number {
  return Number.isNaN(ms) ? fallbackMs : ms;
}

/** A line for people: time, role, level, message, and what else was said as key=value. */
export function renderLogLine({ role, timeMs, text }: LogLine, colours: Colours): string {
  const clock = colours.dim(new Date(timeMs).toISOString().slice(11, 23));
  const object = parseObject(text);
  if (object === undefined) return `${clock} ${role.padEnd(8)} ${printableLine(text)}`;
  const level = typeof object.level === 'string' ? object.level : '';
  const message = typeof object.msg === 'string' ? printable(object.msg) : '';
  const rest = Object.entries(object).flatMap(([key, value]) =>
    SHOWN_ALREADY.has(key) ? [] : [`${printable(key)}=${printable(shortly(value))}`],
  );
  const tone =
    level === 'error' || level === 'fatal' ? colours.red : level === 'warn' ? colours.yellow : String;
  return `${clock} ${role.padEnd(8)} ${tone(level.padEnd(5))} ${message} ${colours.dim(rest.join(' '))}`.trimEnd();
}

/** Errors by their message; the stack stands in the file. */
function shortly(value: unknown): string {
  if (typeof value === 'string') return value;
  if (
    typeof value === 'object' &&
    value !== null &&
    'message' in value &&
    typeof value.message === 'string'
  ) {
    return value.message;
  }
  return JSON.stringify(value);
}

export function parseObject(text: string): Record<string, unknown> | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
