import { describe, test } from 'vitest';

/**
 * A group of tests that needs something of the machine. Where it is missing the group is skipped with the reason in its
 * title; under CI=true that fails, so nobody believes in tests that never ran.
 */
export function describeNeeding(title: string, missing: string | null, body: () => void): void {
  if (missing === null) describe(title, body);
  else if (process.env.CI === 'true')
    describe(title, () => {
      test('finds what it needs on this machine', () => {
        throw new Error(`${missing} (tools/install-test-tools.sh installs it)`);
      });
    });
  else describe.skip(`${title} (skipped: ${missing})`, body);
}
