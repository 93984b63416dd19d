/** The end of an agreement: the provider's work first, then the agreement, then its bill. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Paid, Watched } from './payments.ts';
import type { RecordedIds } from './release.ts';
import type { Rest } from './rest.ts';

const END_AGAIN_MS = 500;

export interface SettleRequest {
  ids: RecordedIds;
  agreement: string;
  watched: Watched;
  invoiceMs: number;
  heartbeat(phase: string): void;
}

export type Settled = Paid | { state: 'unknown' };

/** `unknown`: no invoice came in time, or it could not be answered; its allocation is left for the sweeper. */
export async function settle(rest: Rest, request: SettleRequest): Promise<Settled> {
  const { ids, agreement, watched, invoiceMs } = request;
  try {
    request.heartbeat('ending');
    // The agreement's end ends the activity too, so neither waits for the other.
    const [, ended] = await Promise.allSettled([
      ids.activity === undefined ? undefined : rest.destroyActivity(ids.activity),
      endedWithin(invoiceMs, () => rest.terminateAgreement(agreement)),
    ]);
    if (ended.status === 'rejected' || invoiceMs === 0) return { state: 'unknown' };
    request.heartbeat('awaiting invoice');
    const paid = await before(invoiceMs, watched.invoice);
    return paid ?? { state: 'unknown' };
  } finally {
    watched.stop();
  }
}

/** Again while yagna is away for a moment: without its end there is no invoice. */
async function endedWithin(ms: number, end: () => Promise<unknown>): Promise<void> {
  const until = performance.now() + ms - END_AGAIN_MS;
  for (;;) {
    try {
      await end();
      return;
    } catch (error) {
      if (performance.now() > until) throw error;
      await delay(END_AGAIN_MS);
    }
  }
}

async function before<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
