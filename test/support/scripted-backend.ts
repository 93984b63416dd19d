import type { AttendedBackend, Outcome, Step, Work } from '../../backends/backend.ts';
import { failure, type FailureCode } from '../../domain/failure.ts';

/** What the backend does with one attempt: answer, fail, wait until it is aborted or released, or break. */
export type Act =
  /** `digest`: what this attempt finds the image to be, when the job does not know yet. */
  | { kind: 'answer'; text: string; digest?: string }
  | { kind: 'fail'; code: FailureCode }
  | { kind: 'hang' }
  | { kind: 'throw'; message: string };

export interface ScriptedBackend extends AttendedBackend {
  /** Attempts in the order in which they began. */
  begun: Work[];
  /** Names that were released. */
  released: string[];
  /** Resolves when `count` attempts have begun. */
  untilBegun(count: number): Promise<void>;
}

/** A backend whose attempts go as a test says; everything around it is real. `script` sees the work and its count so far. */
export function scriptedBackend(script: (work: Work, count: number) => Act): ScriptedBackend {
  const begun: Work[] = [];
  const released: string[] = [];
  const watchers: { count: number; resolve: () => void }[] = [];

  return {
    kind: 'local',
    begun,
    released,
    untilBegun: (count) =>
      begun.length >= count ? Promise.resolve() : new Promise((resolve) => watchers.push({ count, resolve })),
    async execute(work, step) {
      begun.push(work);
      for (const watcher of watchers) if (begun.length >= watcher.count) watcher.resolve();
      await step.record({ scripted: work.name });
      const act = script(work, begun.length);
      switch (act.kind) {
        case 'answer':
          return {
            ...(await outcome(work, step, act.text)),
            imageExecuted: await digest(work, step, act.digest),
          };
        case 'fail':
          return { ...(await outcome(work, step, null)), failure: failure(act.code, `scripted ${act.code}`) };
        case 'throw':
          throw new Error(act.message);
        case 'hang':
          return new Promise((_, reject) => {
            step.signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
          });
      }
    },
    async release(traces) {
      released.push(...traces.map(({ name }) => name));
    },
  };
}

async function digest(work: Work, step: Step, found: string | undefined): Promise<string | null> {
  if (work.imageDigest !== null || found === undefined) return work.imageDigest;
  return step.pinImage(work.image, found);
}

async function outcome(work: Work, step: Step, text: string | null): Promise<Outcome> {
  return {
    placement: {
      backend: 'local',
      provider: 'scripted',
      region: { requested: work.region, claimed: null, observed: null, verified: false, method: 'none' },
    },
    imageRequested: work.image,
    imageExecuted: null,
    isolation: null,
    startedAt: new Date().toISOString(),
    durationMs: 1,
    output: text === null ? null : await step.store(new TextEncoder().encode(text)),
    files: [],
    limits: {},
    exitCode: text === null ? 1 : 0,
  };
}
