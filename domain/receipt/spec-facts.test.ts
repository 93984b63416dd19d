import { expect, it } from 'vitest';
import { nodeVerifiers } from '../../attestation/keys/node-verifiers.ts';
import { jobSpec, signedSpec } from '../../test/support/jobs.ts';
import { specVerifier } from './spec-facts.ts';

it('a spec names its executions, its rule and its job', () => {
  const facts = (over: object) =>
    specVerifier(nodeVerifiers)(
      signedSpec({ ...jobSpec({ id: 'job-1', regions: ['US', 'EU'], questions: ['Who?'] }), ...over }),
    );
  const { planned, ...rest } = facts({});
  expect(rest).toMatchObject({
    form: 'V0',
    jobId: 'job-1',
    rule: { min_regions: 1, min_success_rate: 0.67 },
  });
  expect(planned).toMatchObject(
    ['US', 'EU'].map((region) => ({
      region,
      model: null,
      question: { index: 0, text: 'Who?' },
      image: 'builtin:echo',
    })),
  );
  expect(facts({ id: undefined })).not.toHaveProperty('jobId');
  expect(facts({ constraints: { regions: ['US'], backends: ['golem'] } }).planned).toHaveLength(1);
});
