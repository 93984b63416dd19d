import { describe, expect, it } from 'vitest';
import { ATTEMPT_MOVES, EXECUTION_MOVES, JOB_MOVES, TERMINAL_OUTCOMES, isTerminal } from './states.ts';

describe('states', () => {
  it.each([
    ['execution', EXECUTION_MOVES],
    ['attempt', ATTEMPT_MOVES],
  ])('of an ended %s never change', (_noun, moves) => {
    const ends = Object.entries(moves).filter(([, to]) => to.length === 0);
    expect(ends.map(([state]) => state)).toEqual(
      moves === EXECUTION_MOVES ? [...TERMINAL_OUTCOMES] : ['succeeded', 'failed', 'lost', 'cancelled'],
    );
  });

  it('let a job that ended move only between completed and failed, which an amendment does', () => {
    const moves = Object.entries(JOB_MOVES).filter(([state]) => isTerminal(state));
    expect(moves).toEqual([
      ['completed', ['failed']],
      ['failed', ['completed']],
      ['cancelled', []],
      ['expired', []],
    ]);
  });
});
