/**
 * The closed sets of states and the moves between them (spec: core §1). The database enforces the same tables
 * (store/migrations); `store/states.test.ts` holds the two against each other.
 */
export const JOB_STATES = ['accepted', 'running', 'completed', 'failed', 'cancelled', 'expired'] as const;
export type JobState = (typeof JOB_STATES)[number];

export const EXECUTION_STATES = [
  'pending',
  'placing',
  'running',
  'parked',
  'completed',
  'failed',
  'cancelled',
  'expired',
] as const;
export type ExecutionState = (typeof EXECUTION_STATES)[number];

export const ATTEMPT_STATES = [
  'intended',
  'active',
  'uncertain',
  'succeeded',
  'failed',
  'lost',
  'cancelled',
] as const;
export type AttemptState = (typeof ATTEMPT_STATES)[number];

export const TERMINAL_OUTCOMES = ['completed', 'failed', 'cancelled', 'expired'] as const;
/** How an execution or a job ended. */
export type TerminalOutcome = (typeof TERMINAL_OUTCOMES)[number];

export const JOB_MOVES: Record<JobState, readonly JobState[]> = {
  accepted: ['running', ...TERMINAL_OUTCOMES],
  running: TERMINAL_OUTCOMES,
  completed: ['failed'],
  failed: ['completed'],
  cancelled: [],
  expired: [],
};

export const EXECUTION_MOVES: Record<ExecutionState, readonly ExecutionState[]> = {
  pending: ['placing', 'running', ...TERMINAL_OUTCOMES],
  placing: ['running', 'parked', ...TERMINAL_OUTCOMES],
  running: ['placing', 'parked', ...TERMINAL_OUTCOMES],
  parked: ['placing', 'running', ...TERMINAL_OUTCOMES],
  completed: [],
  failed: [],
  cancelled: [],
  expired: [],
};

export const ATTEMPT_MOVES: Record<AttemptState, readonly AttemptState[]> = {
  intended: ['active', 'uncertain', 'succeeded', 'failed', 'lost', 'cancelled'],
  active: ['uncertain', 'succeeded', 'failed', 'lost', 'cancelled'],
  uncertain: ['active', 'succeeded', 'failed', 'lost', 'cancelled'],
  succeeded: [],
  failed: [],
  lost: [],
  cancelled: [],
};

export function isTerminal(state: string): state is TerminalOutcome {
  return (TERMINAL_OUTCOMES as readonly string[]).includes(state);
}

/** The words of the older service that list filters still accept (spec: core §1). */
export const JOB_STATE_ALIASES: Record<string, JobState> = {
  queued: 'accepted',
  created: 'accepted',
  enqueued: 'accepted',
  processing: 'running',
};
