import { createWake, until } from './wake.ts';

/** What a demand collected: taken once and gone. */
export interface EventQueue<E> {
  push(event: E): void;
  /** Null when the queue was closed, also while waiting. */
  take(max: number, timeoutMs: number, gone: AbortSignal): Promise<E[] | null>;
  close(): void;
}

export function createEventQueue<E>(): EventQueue<E> {
  const events: E[] = [];
  const wake = createWake();
  let closed = false;
  return {
    push(event) {
      events.push(event);
      wake.wake();
    },
    async take(max, timeoutMs, gone) {
      await until(() => closed || events.length > 0, wake, timeoutMs, gone);
      if (closed) return null;
      // Nobody is there to read the answer: nothing may be taken for it.
      return gone.aborted ? [] : events.splice(0, max);
    },
    close() {
      closed = true;
      wake.wake();
    },
  };
}
