import { statSync } from 'node:fs';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Small files first: most mutants fall at once, and the rest of the files is then not even loaded. */
class SmallestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const size = ({ moduleId }: TestSpecification): number => statSync(moduleId).size;
    return files.toSorted((a, b) => size(a) - size(b));
  }
}

/** The tests of domain/ alone, for mutation: no servers, hence no global setup. One of them judges two sides at once. */
export default defineConfig({
  test: {
    include: ['domain/**/*.test.ts', 'attestation/keys/node-verifiers.test.ts'],
    sequence: { sequencer: SmallestFirst },
    // Pure code shares nothing between files, and loading it anew for each file costs more than the tests.
    isolate: false,
  },
});
