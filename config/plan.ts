import type { PlanSettings } from '../domain/jobspec/expand.ts';
import type { Values } from './variables.ts';

/** What the settings freeze into the plan of each job at submit. */
export function planSettings(settings: Values): PlanSettings {
  return {
    backends: settings.BACKENDS,
    deadlineMs: settings.JOB_DEADLINE * 1_000,
    maxParallel: settings.MAX_PARALLEL,
    attemptsPerRegion: settings.ATTEMPTS_PER_REGION,
  };
}
