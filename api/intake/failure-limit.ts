/**
 * Counts failures of trust and signature in windows of a minute, per address and per address and key; never per key
 * alone, or anybody could lock a stranger's key out (spec: core §3). A large body that is refused counts against its
 * address whatever was wrong with it: reading it was work. Kept by each process for itself.
 *
 * Nothing is reserved for tries under way: a small spec is asked for and judged in one or a few turns of the event loop,
 * large ones are judged one after another, each asked for when its turn comes.
 */
export interface FailureLimit {
  /** Whole seconds to wait, or undefined when another try may be made. Without a key the address alone is asked. */
  blocked(address: string, key?: string): number | undefined;
  failed(address: string, key?: string): void;
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

  /** Milliseconds until `name` may try again; 0 when it may. */
  function waitMs(name: string, limit: number, nowMs: number): number {
    const window = windows.get(name);
    return window !== undefined && window.failures >= limit ? Math.max(0, window.endsAtMs - nowMs) : 0;
  }

  function count(name: string, nowMs: number): void {
    const window = windows.get(name);
    if (window !== undefined && window.endsAtMs > nowMs) window.failures++;
    else {
      // Deleted first, so that the map stays in the order in which windows end.
      windows.delete(name);
      windows.set(name, { failures: 1, endsAtMs: nowMs + WINDOW_MS });
    }
  }

  return {
    blocked(address, key) {
      // Asked twice for every submit, and nearly always nobody has failed.
      if (windows.size === 0) return undefined;
      const nowMs = now();
      const from = network(address);
      const ofKey = key === undefined ? 0 : waitMs(`${from} ${key}`, limits.perAddressAndKey, nowMs);
      const wait = Math.max(waitMs(from, limits.perAddress, nowMs), ofKey);
      return wait === 0 ? undefined : Math.ceil(wait / 1_000);
    },
    failed(address, key) {
      const nowMs = now();
      const from = network(address);
      count(from, nowMs);
      if (key !== undefined) count(`${from} ${key}`, nowMs);
      for (const name of windows.keys()) {
        if (windows.size <= MAX_WINDOWS && windows.get(name)!.endsAtMs > nowMs) break;
        windows.delete(name);
      }
    },
  };
}

/** An IPv6 address counts as its /64: one customer has all of it. */
export function network(address: string): string {
  if (!address.includes(':')) return address;
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
