/** The daemon's clock. Its stamps are unique and grow, in microseconds: readers ask for what is strictly later than the last. */
export interface Clock {
  /** Milliseconds since 1970, skewed. */
  now(): number;
  /** A stamp that was never given before and is later than all others; by a clock that is off by so much, for providers. */
  stamp(offMs?: number): string;
}

export function createClock(skewMs = 0): Clock {
  let last = 0;
  const now = () => Date.now() + skewMs;
  return {
    now,
    stamp(offMs = 0) {
      last = Math.max(now() * 1000, last + 1);
      return textOf(last + offMs * 1000);
    },
  };
}

/** RFC 3339 text as microseconds since 1970; finer digits are cut. NaN when it is no time. */
export function microseconds(text: string): number {
  const [, seconds = '', fraction = ''] = /^(.+?)(?:\.(\d+))?(?:Z|[+-]\d\d:\d\d)$/.exec(text) ?? [];
  const zone = /(Z|[+-]\d\d:\d\d)$/.exec(text)?.[1] ?? '';
  return Date.parse(seconds + zone) * 1000 + Number(fraction.padEnd(6, '0').slice(0, 6));
}

/** As chrono writes it. */
function textOf(micros: number): string {
  const seconds = new Date(Math.floor(micros / 1_000_000) * 1000).toISOString().slice(0, 19);
  return `${seconds}.${String(micros % 1_000_000).padStart(6, '0')}Z`;
}
