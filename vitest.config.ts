import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['**/*.test.ts'],
    exclude: ['node_modules', 'dist', 'portal', '.beacon'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 120_000,
    reporters:
      process.env.CI === 'true'
        ? ['dot', './test/closing-line-reporter.ts']
        : ['default', './test/closing-line-reporter.ts'],
    globalSetup: ['./test/global-setup.ts'],
  },
});
