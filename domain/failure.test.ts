import { expect, it } from 'vitest';
import { failure, FAILURES } from './failure.ts';

it('a failure is of the class that its code has in the catalogue, unless somebody knows better', () => {
  expect(failure('exit_nonzero', 'exit 3')).toEqual({
    code: 'exit_nonzero',
    message: 'exit 3',
    ...FAILURES.exit_nonzero,
  });
  expect(failure('backend_error', 'm', { retryable: false })).toEqual({
    code: 'backend_error',
    message: 'm',
    ...FAILURES.backend_error,
    retryable: false,
  });
});

it('the message of a failure is cut at 500 characters', () => {
  expect(failure('internal', 'x'.repeat(500)).message).toHaveLength(500);
  expect(failure('internal', `${'x'.repeat(500)}y`).message).toBe('x'.repeat(500));
});

it('what a program did wrong is tried nowhere again, and no operator can mend it', () => {
  for (const { source, retryable, mendable } of Object.values(FAILURES)) {
    if (source === 'program') expect([retryable, mendable]).toEqual([false, false]);
  }
});
