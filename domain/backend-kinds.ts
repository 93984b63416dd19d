/** The kinds of backend that this build has; a job sent to another would wait for a worker that never comes. */
export const BACKEND_KINDS = ['local', 'golem'] as const;

/**
 * Kinds whose places are looked for (`negotiate`) before an attempt, and cleaned up (`release`) after a lost one.
 * Workflow code reads it: a kind never leaves or joins this list while jobs of it may be open.
 */
const NEGOTIATING: readonly string[] = ['golem'];

export function negotiates(kind: string): boolean {
  return NEGOTIATING.includes(kind);
}

/** Kinds whose places belong to strangers, who can read what they run: a private job goes there only when it names them. */
const STRANGE: readonly string[] = ['golem'];

export function isOfStrangers(kind: string): boolean {
  return STRANGE.includes(kind);
}
