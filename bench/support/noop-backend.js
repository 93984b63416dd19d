/** A backend that does nothing, behind the interface that every backend has: what is left is Beacon's own work. */
const ANSWER = new TextEncoder().encode('{"answer":"I am an echo."}');

/** @returns {import('../../backends/backend.ts').Backend} */
export function noopBackend() {
  return {
    kind: 'local',
    async execute(work, step) {
      const startedAt = new Date().toISOString();
      await step.record({ process: work.name });
      return {
        placement: {
          backend: 'local',
          provider: 'noop',
          region: { requested: work.region, claimed: null, observed: null, verified: false, method: 'none' },
        },
        imageRequested: work.image,
        imageExecuted: null,
        isolation: null,
        startedAt,
        durationMs: 0,
        output: await step.store(ANSWER),
        files: [],
        limits: {},
        exitCode: 0,
      };
    },
    release: async () => undefined,
  };
}
