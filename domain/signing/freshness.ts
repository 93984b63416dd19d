/** How far a signed time may lie from ours; minutes as the settings of the older service name them (spec: beacon §2.5). */
export interface FreshnessWindow {
  /** Into the future. */
  maxSkewMs: number;
  /** Into the past. */
  maxAgeMs: number;
}

export type Staleness = 'format_invalid' | 'too_old' | 'too_far_in_future';

const RFC_3339 =
  /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?(?:[Zz]|([+-])(\d{2}):(\d{2}))$/;
const MAX_LENGTH = 64;

/** Unix milliseconds of an RFC 3339 time, or undefined; the date must exist. */
export function parseTime(text: string): number | undefined {
  const match = text.length <= MAX_LENGTH ? RFC_3339.exec(text) : null;
  if (match === null) return undefined;
  const part = (i: number): number => Number(match[i]);
  const [year, month, day, hour, minute, second] = [part(1), part(2), part(3), part(4), part(5), part(6)];
  const offsetHour = Number(match[9] ?? 0);
  const offsetMinute = Number(match[10] ?? 0);
  // Second 60 is a leap second; Date carries it into the next minute.
  if (hour > 23 || minute > 59 || second > 60 || offsetHour > 23 || offsetMinute > 59) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  date.setUTCHours(hour, minute, second);
  const milliseconds = Number((match[7] ?? '').padEnd(3, '0').slice(0, 3));
  const offsetMs = (offsetHour * 60 + offsetMinute) * 60_000 * (match[8] === '-' ? -1 : 1);
  return date.getTime() + milliseconds - offsetMs;
}

/** Why `text` is no fresh time at `nowMs`, or undefined when it is one. */
export function staleness(text: string, nowMs: number, window: FreshnessWindow): Staleness | undefined {
  const timeMs = parseTime(text);
  if (timeMs === undefined) return 'format_invalid';
  if (timeMs > nowMs + window.maxSkewMs) return 'too_far_in_future';
  if (timeMs < nowMs - window.maxAgeMs) return 'too_old';
  return undefined;
}
