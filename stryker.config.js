/** `npm run mutation`: changes domain/ in thousands of small ways and asks of each whether a test notices. */
export default {
  testRunner: 'vitest',
  vitest: { configFile: 'vitest.domain.config.ts' },
  plugins: ['@stryker-mutator/vitest-runner', './stryker.config.js'],
  mutate: ['domain/**/*.ts', '!domain/**/*.test.ts'],
  ignorers: ['sentences'],
  // What runs only while a module loads has no tests of its own: each such mutant would need the whole suite.
  ignoreStatic: true,
  coverageAnalysis: 'perTest',
  concurrency: 2,
  reporters: ['clear-text', 'progress-append-only', 'json'],
  clearTextReporter: { logTests: false, reportTests: false },
  jsonReporter: { fileName: 'reports/mutation.json' },
  thresholds: { high: 90, low: 80, break: 80 },
  ignorePatterns: ['.beacon', 'bench', 'coverage', 'dist', 'docs', 'reports'],
  allowEmpty: false,
};

const TWO_WORDS = /[a-z]\S* [a-z]/i;

/** Texts for people (two words in one literal): tests hold on to codes and fields, wording may change. */
export const strykerPlugins = [
  {
    kind: 'Ignore',
    name: 'sentences',
    value: {
      shouldIgnore({ node }) {
        const texts =
          node.type === 'StringLiteral'
            ? [node.value]
            : node.type === 'TemplateLiteral'
              ? node.quasis.map((quasi) => quasi.value.cooked)
              : [];
        return texts.some((text) => TWO_WORDS.test(text)) ? 'a text for people' : undefined;
      },
    },
  },
];
