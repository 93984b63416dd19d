/**
 * Counts failures of trust and signature in windows of a minute, per address and per address and key; never per key
 * alone, or anybody could lock a stranger's key out (spec: core §3). Kept by each process for itself.
 */
export interface FailureLimit {
  /** Whole seconds to wait, or undefined when another try may be made. */
  blocked(address: string, key: string): number | undefined;
  failed(address: string, key: string): void;
}

interface Window {
  failures: number;
  endsAtMs: number;
}

const WINDOW_MS = 60_000;
/** Above it the oldest windows are forgotten, so that many addresses cannot fill the memory. */
const MAX_WINDOWS = 20_000;

export function createFailureLimit(
  limits: { perAddress: number; perAddressAndKey: number },
  now: () => number = Date.now,
): FailureLimit {
  const windows = new Map<string, Window>();

  const rows = (address: string, key: string): [name: string, limit: number][] => [
    [network(address), limits.perAddress],
    [`${network(address)} ${key}`, limits.perAddressAndKey],
  ];
  return {
    blocked(address, key) {
      const nowMs = now();
      const waits = rows(address, key).flatMap(([name, limit]) => {
        const window = windows.get(name);
        return window !== undefined && window.endsAtMs > nowMs && window.failures >= limit
          ? [window.endsAtMs - nowMs]
          : [];
      });
      return waits.length === 0 ? undefined : Math.ceil(Math.max(...waits) / 1_000);
    },
    failed(address, key) {
      const nowMs = now();
      for (const [name] of rows(address, key)) {
        const window = windows.get(name);
        if (window !== undefined && window.endsAtMs > nowMs) window.failures++;
        else {
          // Deleted first, so that the map stays in the order in which windows end.
          windows.delete(name);
          windows.set(name, { failures: 1, endsAtMs: nowMs + WINDOW_MS });
        }
      }
      for (const name of windows.keys()) {
        if (windows.size <= MAX_WINDOWS && windows.get(name)!.endsAtMs > nowMs) break;
        windows.delete(name);
      }
    },
  };
}

/** An IPv6 address counts as its /64: one customer has all of it. */
export function network(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  if (!plain.includes(':')) return plain;
  const [head = '', tail] = plain.toLowerCase().split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array.from({ length: Math.max(0, zeros) }, () => '0'), ...right];
  return groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':');
}
