import { microseconds } from './clock.ts';
import { createWake, until } from './wake.ts';

export interface Reading {
  /** Strictly later than this. */
  after: string | null;
  /** Events of other sessions are not shown; null shows all. */
  session: string | null;
  max: number;
  timeoutMs: number;
  gone: AbortSignal;
}

/** Agreement, invoice and debit-note events: a log that every reader reads from where it stands. */
export interface EventLog<E extends { eventDate: string }> {
  append(session: string | null, event: E): void;
  read(reading: Reading): Promise<E[]>;
}

export function createEventLog<E extends { eventDate: string }>(): EventLog<E> {
  const log: { session: string | null; micros: number; event: E }[] = [];
  const wake = createWake();
  const found = ({ after, session, max }: Reading) => {
    const from = after === null ? -Infinity : microseconds(after);
    // Stamps grow, and readers stand near the end.
    const first = log.findLastIndex(({ micros }) => micros <= from) + 1;
    return log
      .slice(first)
      .filter((entry) => session === null || entry.session === session)
      .slice(0, max)
      .map(({ event }) => event);
  };
  return {
    append(session, event) {
      log.push({ session, micros: microseconds(event.eventDate), event });
      wake.wake();
    },
    async read(reading) {
      await until(() => found(reading).length > 0, wake, reading.timeoutMs, reading.gone);
      return found(reading);
    },
  };
}
