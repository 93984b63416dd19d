import { isOfStrangers } from '../backend-kinds.ts';
import { LIMITS } from '../limits.ts';
import { JobSpecError } from './error.ts';
import type { Plan } from './plan.ts';
import type { Region } from './region.ts';
import type { JobSpec } from './spec.ts';

/** What a plan is made of. */
type Planned = Pick<JobSpec, 'constraints' | 'models' | 'questions' | 'visibility'>;

/** What the operator's settings add to a job's plan. */
export interface PlanSettings {
  /** Ordered backends by region; `*` stands for every region without a row of its own. */
  backends: Partial<Record<Region | '*', readonly string[]>>;
  deadlineMs: number;
  maxParallel: number;
  attemptsPerRegion: number;
}

/**
 * The frozen plan of a job: regions × models × questions in that order of nesting, a model only in its own regions.
 * Throws JobSpecError where the job cannot be planned or cannot succeed.
 */
export function expandPlan(spec: Planned, settings: PlanSettings): Plan {
  const { constraints, models, questions } = spec;
  const executions = expand(spec);
  const plan: Plan = {
    v: 1,
    regions: constraints.regions,
    fallback_regions: constraints.fallbackRegions,
    models: models.map((model) => model.id),
    questions: questions.length,
    executions,
    backends: chooseBackends(spec, settings),
    min_regions: constraints.minRegions,
    min_success_rate: constraints.minSuccessRate,
    timeout_ms: constraints.timeoutMs,
    provider_timeout_ms: constraints.providerTimeoutMs,
    deadline_ms: settings.deadlineMs,
    max_parallel: settings.maxParallel,
    attempts_per_region: settings.attemptsPerRegion,
  };
  checkReach(plan);
  // Only model ids can hold more than one byte per code unit; three is UTF-8's worst per unit.
  if (JSON.stringify(plan).length + 2 * plan.models.join('').length > LIMITS.planBytes) {
    throw new JobSpecError('models', `the job's plan is larger than ${LIMITS.planBytes} bytes`);
  }
  return plan;
}

function expand({ constraints, models, questions }: Planned): Plan['executions'] {
  for (const { path, id, regions } of models) {
    if (!regions.some((region) => constraints.regions.includes(region))) {
      throw new JobSpecError(
        `${path}.regions`,
        `the model ${id} runs in ${regions.join(', ')}, none of which is among the job's regions ${constraints.regions.join(', ')}`,
      );
    }
  }
  const asked = questions.length === 0 ? [-1] : [...questions.keys()];
  const pairs: [region: number, model: number][] = [];
  for (const [region, name] of constraints.regions.entries()) {
    if (models.length === 0) pairs.push([region, -1]);
    for (const [model, { regions }] of models.entries()) {
      if (regions.includes(name)) pairs.push([region, model]);
    }
  }
  const total = pairs.length * asked.length;
  if (total > LIMITS.executionsPerJob) {
    throw new JobSpecError(
      questions.length > 0 ? 'questions' : 'models',
      `the job expands to ${total} executions (regions × models × questions); at most ${LIMITS.executionsPerJob} are allowed`,
    );
  }
  return pairs.flatMap(([region, model]) =>
    asked.map((question): Plan['executions'][number] => [region, model, question]),
  );
}

function chooseBackends({ constraints, visibility }: Planned, settings: PlanSettings): Plan['backends'] {
  if (constraints.backends !== undefined) requireKnown(constraints.backends, settings);
  const backends: Plan['backends'] = {};
  for (const region of [...constraints.regions, ...constraints.fallbackRegions]) {
    const configured = settings.backends[region] ?? settings.backends['*'] ?? [];
    const chosen = configured.filter(
      (name) => constraints.backends?.includes(name) ?? !(visibility === 'private' && isOfStrangers(name)),
    );
    if (chosen.length === 0) {
      throw new JobSpecError(
        configured.length === 0 ? 'constraints.regions' : 'constraints.backends',
        configured.length === 0
          ? `this server has no backend for the region ${region}`
          : constraints.backends === undefined
            ? `only ${configured.join(', ')} serves the region ${region}, where strangers can read a job: a private job must name it`
            : `none of the backends that the job allows serves the region ${region}; there it could be ${configured.join(', ')}`,
      );
    }
    backends[region] = chosen;
  }
  return backends;
}

function requireKnown(backends: readonly string[], settings: PlanSettings): void {
  const known = new Set(Object.values(settings.backends).flat());
  for (const [i, name] of backends.entries()) {
    if (known.has(name)) continue;
    throw new JobSpecError(
      `constraints.backends[${i}]`,
      `constraints.backends[${i}]: this server has no backend "${name}"; it has ${[...known].join(', ')}`,
    );
  }
}

/** A job whose executions cannot reach `min_regions` regions would fail after all its work; say so before. */
function checkReach(plan: Plan): void {
  const reachable = new Set(plan.fallback_regions);
  for (const [region] of plan.executions) reachable.add(plan.regions[region]!);
  if (reachable.size >= plan.min_regions) return;
  throw new JobSpecError(
    'constraints.min_regions',
    `constraints.min_regions is ${plan.min_regions}, but the job's models run only in ${[...reachable].join(', ')}`,
  );
}
