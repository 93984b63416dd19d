import type { Region } from './region.ts';

/**
 * What a job will do, frozen at submit and handed to the workflow (spec: core §4): workflow code reads only this, so a
 * changed rule or setting never breaks a replay. At most 64 KiB as JSON; texts and ids stay in the database.
 */
export interface Plan {
  v: 1;
  /** Regions asked for, normalised, each once. */
  regions: Region[];
  /** Where an execution may go when its own region is exhausted, in order. Empty unless the spec names some. */
  fallback_regions: Region[];
  /** Model ids; empty when the job names none. */
  models: string[];
  /** How many questions the job asks; 0 when it has none. */
  questions: number;
  /** One row per execution, its position is the execution's index: [region, model, question] as indexes, -1 for none. */
  executions: [region: number, model: number, question: number][];
  /** Ordered backends for every region of `regions` and `fallback_regions`. */
  backends: Partial<Record<Region, string[]>>;
  min_regions: number;
  min_success_rate: number;
  /** Bound of the summed running time of one execution over all its attempts. */
  timeout_ms: number;
  /** Bound of one attempt. */
  provider_timeout_ms: number;
  /** From the workflow's start; the net under everything. */
  deadline_ms: number;
  max_parallel: number;
  /** Tries per region, lost attempts not counted. */
  attempts_per_region: number;
}
