/**
 * The life of one execution (docs/architecture.md):
 *   place    -> negotiate, where the backend negotiates; then execute at the execution's own region, first backend
 *   attested -> the end: `execute` kept its success and attested it in one transaction, where its worker could
 *   staged   -> attest: receipt, terminal state and log entry in one transaction
 *   failed   -> the next place (another backend, then the fallback regions) or, when there is none, attest the failure
 *   lost     -> the worker went away: release what it left, where the backend negotiates; then the same place again under the attempt number that `execute` names
 *   stopped  -> the job is to be cancelled: told to the caller, which attests what is left
 * Durable is what the activities commit; this function may start again from its first line at any time.
 */
import { ActivityFailure, isCancellation, sleep, TimeoutFailure } from '@temporalio/workflow';
import type { ExecuteInput } from '../activities/execute.ts';
import type { NegotiateResult } from '../activities/negotiate.ts';
import { negotiates } from '../domain/backend-kinds.ts';
import { nextPlace, type Place, type Try } from '../domain/tries.ts';
import type { Plan } from '../domain/jobspec/plan.ts';
import type { Region } from '../domain/jobspec/region.ts';
import { attest, execute, negotiate, release, RELEASE_OF_CANCELLED_MS } from './steps.ts';

/** A worker that dies this often under one execution is dying of it. */
const MAX_LOST_ATTEMPTS = 5;

const FIRST_WAIT_MS = 1_000;
/** Long enough that even a database that is away for a day keeps the history small. */
const LONGEST_WAIT_MS = 300_000;

export type ExecutionEnd = 'attested' | 'stopped';

export async function runExecution(job: string, plan: Plan, index: number): Promise<ExecutionEnd> {
  const home = plan.regions[plan.executions[index]?.[0] ?? -1] as Region;
  const tries: Try[] = [];
  let attempt = 1;
  let lost = 0;
  let place: Place | undefined = nextPlace(plan, home, tries);
  while (place !== undefined) {
    const looked = await look(job, index, place);
    if (looked?.kind === 'stopped') return looked.reason === 'terminal' ? 'attested' : 'stopped';
    const answer = await executeOnce(job, plan, index, attempt, place, looked?.negotiated);
    switch (answer.kind) {
      case 'stopped':
        return answer.reason === 'terminal' ? 'attested' : 'stopped';
      case 'attested':
        return 'attested';
      case 'staged':
        await attest({ job, indexes: [index], reason: 'ended' });
        return 'attested';
      case 'failed':
        tries.push({ ...place, code: answer.code, retryable: answer.retryable });
        place = nextPlace(plan, home, tries);
        attempt = answer.attempt + 1;
        break;
      case 'lost':
        if (negotiates(place.backend)) await release({ job, index, attempt, backend: place.backend });
        if (answer.known !== true && ++lost > MAX_LOST_ATTEMPTS) place = undefined;
        attempt = answer.next;
        break;
    }
  }
  await attest({ job, indexes: [index], reason: 'ended' });
  return 'attested';
}

/** What `negotiate` answers; undefined where the backend does not negotiate. Its errors are tried again by Temporal. */
async function look(job: string, index: number, place: Place): Promise<NegotiateResult | undefined> {
  if (!negotiates(place.backend)) return undefined;
  return negotiate(place.backend)({ job, index, ...place });
}

/**
 * `execute`, asked again under the same number when no answer came: it then learns what became of the attempt. A worker
 * that vanished is a time-out and known at once; an error means that the database could not be reached, so wait first.
 */
async function executeOnce(
  job: string,
  plan: Plan,
  index: number,
  attempt: number,
  place: Place,
  negotiated: ExecuteInput['negotiated'],
): ReturnType<ReturnType<typeof execute>> {
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS)) {
    try {
      return await execute(
        place.backend,
        plan,
      )({
        job,
        index,
        attempt,
        ...place,
        timeout_ms: plan.timeout_ms,
        provider_timeout_ms: plan.provider_timeout_ms,
        ...(negotiated === undefined ? {} : { negotiated }),
      });
    } catch (error) {
      // Told to stop: a worker that died meanwhile must not leave something that costs.
      if (isCancellation(error) && negotiates(place.backend))
        await release({ job, index, attempt, backend: place.backend }, RELEASE_OF_CANCELLED_MS);
      if (isCancellation(error) || !(error instanceof ActivityFailure)) throw error;
      if (!(error.cause instanceof TimeoutFailure)) await sleep(waitMs);
    }
  }
}
