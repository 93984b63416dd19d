import { defineConfig } from 'vitest/config';

/** The tests that run other people's tools on what Beacon makes (docs/verify.md). They may build those tools first. */
export default defineConfig({
  test: {
    include: ['test/interop/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 120_000,
    // Long enough for the slowest of the builds.
    hookTimeout: 25 * 60_000,
    reporters: ['default', './test/closing-line-reporter.ts'],
    globalSetup: ['./test/global-setup.ts'],
  },
});
