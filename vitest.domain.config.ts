import { defineConfig } from 'vitest/config';

/**
 * The tests of domain/ alone, for mutation: no servers, hence no global setup. They are pure, so that one worker may
 * run all files over the same modules, which saves more than half of the time; it is a fresh one for each mutant.
 */
export default defineConfig({
  test: { include: ['domain/**/*.test.ts'], isolate: false },
});
