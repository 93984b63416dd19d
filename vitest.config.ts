import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['**/*.test.ts'],
    exclude: ['node_modules', 'dist', 'portal', '.beacon', '.stryker-tmp', 'test/interop'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 120_000,
    reporters:
      process.env.CI === 'true'
        ? ['dot', './test/closing-line-reporter.ts']
        : ['default', './test/closing-line-reporter.ts'],
    globalSetup: ['./test/global-setup.ts'],
    coverage: {
      provider: 'custom',
      customProviderModule: './test/coverage-provider.ts',
      include: ['{domain,api,workflows,attestation}/**/*.ts'],
      exclude: ['**/*.test.ts'],
      reporter: ['text', 'json-summary'],
      reportOnFailure: true,
      thresholds: {
        'domain/**': { lines: 85 },
        'api/**': { lines: 85 },
        'workflows/**': { lines: 85 },
        'attestation/**': { lines: 85 },
      },
    },
  },
});
