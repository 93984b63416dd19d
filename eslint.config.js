import tseslint from 'typescript-eslint';

const workflowWall = {
  files: ['workflows/**/*.ts'],
  rules: {
    '@typescript-eslint/no-restricted-imports': [
      'error',
      {
        patterns: [
          {
            regex: '^(?!@temporalio/workflow$|\\.{1,2}/)',
            message: 'workflows import @temporalio/workflow and domain only.',
          },
          { regex: 'activities/', allowTypeImports: true, message: 'import types of activities only.' },
          {
            regex: '(backends|store|api|worker|attestation|observability|config)/',
            message: 'not inside the workflow wall.',
          },
        ],
      },
    ],
  },
};

/** The browser runs the same verifier: no Node built-ins, not even its globals. */
const isomorphicDomain = {
  files: ['domain/**/*.ts'],
  ignores: ['**/*.test.ts'],
  rules: {
    '@typescript-eslint/no-restricted-imports': [
      'error',
      { patterns: [{ regex: '^(node:|[a-z_]+$)', message: 'domain runs in a browser: no Node built-ins.' }] },
    ],
    'no-restricted-globals': ['error', 'Buffer', 'process', 'require', '__dirname', 'setImmediate'],
  },
};

export default tseslint.config(
  { ignores: ['dist', 'node_modules', 'coverage', '.beacon', '.stryker-tmp', 'portal'] },
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-non-null-assertion': 'off',
      // Objects here are made by functions and closures, never by classes that need their `this`.
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/consistent-type-imports': 'error',
      'no-restricted-exports': ['error', { restrictDefaultExports: { direct: true } }],
    },
  },
  { files: ['**/*.config.ts'], rules: { 'no-restricted-exports': 'off' } },
  {
    files: ['test/*-reporter.ts', 'test/coverage-provider.ts', 'test/global-setup.ts'],
    rules: { 'no-restricted-exports': 'off' },
  },
  {
    files: ['**/*.test.ts', 'test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
    },
  },
  workflowWall,
  isomorphicDomain,
);
