import { setTimeout as pause } from 'node:timers/promises';
import { WAITS } from './bounds.ts';

/** Looks again and again, in growing steps, until `holds` or the time is over; says which. */
export async function waitUntil(holds: () => boolean | Promise<boolean>, withinMs: number): Promise<boolean> {
  const end = performance.now() + withinMs;
  for (let stepMs: number = WAITS.pollFirstMs; ; stepMs = Math.min(stepMs * 2, WAITS.pollLongestMs)) {
    if (await holds()) return true;
    if (performance.now() >= end) return false;
    await pause(stepMs);
  }
}
