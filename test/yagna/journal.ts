/** One request as the daemon saw it. */
export interface JournalEntry {
  at: string;
  method: string;
  /** Without the query. */
  path: string;
  query: string;
  /** The pattern that answered it, or null. */
  route: string | null;
  body: unknown;
  /** Null while it is not answered; 0 when the connection was dropped or the client went away. */
  status: number | null;
  ms: number | null;
}

const KEPT = 50_000;

export interface Journal {
  readonly entries: readonly JournalEntry[];
  /** Also those that are no longer kept. */
  readonly total: number;
  begin(entry: JournalEntry): void;
  /** Requests by `METHOD route`. */
  count(method: string, route: string): number;
}

export function createJournal(): Journal {
  const entries: JournalEntry[] = [];
  let total = 0;
  return {
    entries,
    get total() {
      return total;
    },
    begin(entry) {
      total++;
      entries.push(entry);
      if (entries.length > KEPT) entries.splice(0, entries.length - KEPT);
    },
    count: (method, route) => entries.filter((e) => e.method === method && e.route === route).length,
  };
}
