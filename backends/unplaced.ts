import type { Outcome, Placement, RegionEvidence, Work } from './backend.ts';

/** Nothing has run yet: what an attempt's outcome begins as. */
export function unplaced(
  work: Work,
  placed: Pick<Placement, 'backend' | 'provider'> & Pick<RegionEvidence, 'claimed'>,
): Outcome {
  const { backend, provider, claimed } = placed;
  return {
    placement: {
      backend,
      provider,
      region: { requested: work.region, claimed, observed: null, verified: false, method: 'none' },
    },
    imageRequested: work.image,
    imageExecuted: null,
    isolation: null,
    startedAt: null,
    durationMs: null,
    output: null,
    files: [],
    limits: {},
    exitCode: null,
  };
}
