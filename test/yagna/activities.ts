import type { ActivityApi } from 'ya-ts-client';
import { z } from 'zod';
import type { Agreement, Agreements } from './agreements.ts';
import { commands, createBatch, runBatch, type Batch, type LeaveFault } from './batch.ts';
import type { Clock } from './clock.ts';
import { createExeUnit, type ExeUnit } from './exe-unit.ts';
import type { Gsb } from './gsb.ts';
import { bodyOf, Failure, ok, timeoutMs, type Call, type Reply, type Route } from './http.ts';
import { activityId } from './ids.ts';
import type { Images } from './images.ts';
import type { Provider } from './provider.ts';
import { streamBatch } from './batch-stream.ts';
import { until } from './wake.ts';

type State = NonNullable<ActivityApi.ActivityStateDTO['state'][number]>;

export interface Activity {
  readonly id: string;
  readonly agreement: Agreement;
  state: State;
  readonly startedAt: number;
  endedAt: number | null;
  readonly unit: ExeUnit;
  readonly batches: Map<string, Batch>;
  /** On images and programs. */
  workedMs: number;
  /** Batches run one after another. */
  queue: Promise<unknown>;
  /** Ends with the activity or its provider. */
  readonly over: AbortController;
}

export interface Activities {
  routes: Route[];
  of(agreement: Agreement): Activity[];
  open(): Activity[];
  get(id: string): Activity | undefined;
  /** Ends all activities of an agreement, by its provider. */
  end(agreement: Agreement): void;
  /** A provider dies without a word. */
  die(provider: Provider): void;
  close(): Promise<void>;
}

export interface ActivityParts {
  clock: Clock;
  agreements: Agreements;
  images: Images;
  gsb: Gsb;
  started(activity: Activity): void;
  ended(activity: Activity): void;
}

const PATH = '/activity-api/v1/activity';
const creation = z.object({ agreementId: z.string() });
const execution = z.object({ text: z.string() });

export function createActivities(parts: ActivityParts): Activities {
  const activities = new Map<string, Activity>();

  const find = (call: Call): Activity => {
    const found = activities.get(call.params.activity ?? '');
    if (found !== undefined) return found;
    throw new Failure(404, `Activity [${call.params.activity}] not found.`);
  };
  const reachable = (call: Call): Activity => {
    const activity = find(call);
    if (activity.agreement.provider.alive) return activity;
    throw new Failure(500, `GSB error: endpoint address not found: /net/${activity.agreement.provider.id}`);
  };

  function finish(activity: Activity): void {
    if (activity.state === 'Terminated') return;
    activity.state = 'Terminated';
    activity.endedAt = parts.clock.now();
    activity.over.abort();
    void activity.unit.close();
    for (const batch of activity.batches.values()) batch.changed.wake();
    parts.ended(activity);
  }

  function leave(agreement: Agreement, fault: LeaveFault): void {
    const later = 'afterMs' in fault ? (fault.afterMs ?? 0) : 0;
    setTimeout(() => {
      if (fault.do === 'terminate' && 'reason' in fault)
        parts.agreements.endByProvider(agreement, fault.reason);
      else die(agreement.provider);
    }, later);
  }

  /** Nothing is said; what runs is gone. */
  function die(provider: Provider): void {
    provider.alive = false;
    for (const activity of activities.values()) {
      if (activity.agreement.provider !== provider) continue;
      activity.over.abort();
      void activity.unit.close();
      for (const batch of activity.batches.values()) batch.changed.wake();
    }
  }

  async function create(call: Call): Promise<Reply> {
    const { agreementId } = bodyOf(creation, call);
    const agreement = parts.agreements.get(agreementId);
    if (agreement === null) throw new Failure(404, `Agreement [${agreementId}] not found.`);
    if (agreement.state !== 'Approved')
      throw new Failure(400, `Agreement [${agreementId}] is ${agreement.state}.`);
    const { provider } = agreement;
    if (!provider.alive) throw new Failure(500, `GSB error: endpoint address not found: /net/${provider.id}`);
    const fault = provider.faults.take('create-activity');
    if (fault?.do === 'hang') return { hang: true };
    if (fault?.do === 'timeout') throw new Failure(408, 'Request timed out');
    if (fault?.do === 'error') throw new Failure(500, 'GSB error: create activity failed');
    const activity: Activity = {
      id: activityId(),
      agreement,
      state: 'Initialized',
      startedAt: parts.clock.now(),
      endedAt: null,
      unit: createExeUnit({
        provider,
        demand: agreement.demand.properties,
        images: parts.images,
        gsb: parts.gsb,
      }),
      batches: new Map(),
      workedMs: 0,
      queue: Promise.resolve(),
      over: new AbortController(),
    };
    activities.set(activity.id, activity);
    parts.started(activity);
    return ok({ activityId: activity.id });
  }

  function execute(call: Call): Reply {
    const activity = reachable(call);
    if (activity.state === 'Terminated') throw new Failure(410, 'Activity is terminated.');
    const script = scriptOf(bodyOf(execution, call).text);
    const batch = createBatch(activityId());
    activity.batches.set(batch.id, batch);
    const { agreement, unit, over } = activity;
    activity.queue = activity.queue.then(() =>
      runBatch(batch, script, {
        clock: parts.clock,
        provider: agreement.provider,
        unit,
        over: over.signal,
        leave: (fault) => leave(agreement, fault),
        worked: (ms) => void (activity.workedMs += ms),
        reached: (state) => {
          if (state === 'Terminated') finish(activity);
          else if (activity.state !== 'Terminated') activity.state = state;
        },
      }),
    );
    return ok(batch.id);
  }

  async function results(call: Call): Promise<Reply> {
    const activity = reachable(call);
    const batch = activity.batches.get(call.params.batch ?? '');
    if (batch === undefined) throw new Failure(404, `Batch [${call.params.batch}] not found.`);
    if (call.accept.includes('text/event-stream')) return streamBatch(batch, call);
    const fault = activity.agreement.provider.faults.take('results');
    if (fault?.do === 'error') throw new Failure(500, 'GSB error: endpoint address not found');
    if (fault?.do === 'timeout') throw new Failure(408, 'Request timed out');
    const wanted = call.query.get('commandIndex');
    const done = () =>
      batch.finished ||
      !activity.agreement.provider.alive ||
      activity.state === 'Terminated' ||
      (wanted !== null && batch.results.length > Number(wanted));
    await until(() => fault?.do !== 'never' && done(), batch.changed, timeoutMs(call, 0), call.gone);
    if (activity.state === 'Terminated' && !batch.finished)
      throw new Failure(500, `GSB error: endpoint address not found: /public/exe-unit/${activity.id}`);
    reachable(call);
    return ok(fault?.do === 'never' ? [] : batch.results);
  }

  function state(call: Call): Reply {
    const activity = reachable(call);
    const fault = activity.agreement.provider.faults.take('state');
    if (fault?.do === 'timeout') throw new Failure(408, 'Request timed out');
    if (fault?.do === 'error') throw new Failure(500, 'GSB error: endpoint address not found');
    return ok({ state: [activity.state, null] } satisfies ActivityApi.ActivityStateDTO);
  }

  function destroy(call: Call): Reply {
    const activity = reachable(call);
    const fault = activity.agreement.provider.faults.take('destroy');
    if (fault?.do === 'error') throw new Failure(500, 'GSB error: destroy activity failed');
    if (fault?.do === 'hang') return { hang: true };
    if (activity.state === 'Terminated') throw new Failure(410, 'Activity is already terminated.');
    finish(activity);
    return ok(null);
  }

  return {
    routes: [
      { method: 'POST', pattern: PATH, handler: create },
      { method: 'DELETE', pattern: `${PATH}/{activity}`, handler: destroy },
      { method: 'POST', pattern: `${PATH}/{activity}/exec`, handler: execute },
      { method: 'GET', pattern: `${PATH}/{activity}/exec/{batch}`, handler: results },
      { method: 'GET', pattern: `${PATH}/{activity}/state`, handler: state },
      {
        method: 'GET',
        pattern: `${PATH}/{activity}/agreement`,
        handler: (call) => ok(find(call).agreement.id),
      },
      {
        method: 'GET',
        pattern: `${PATH}/{activity}/usage`,
        handler: (call) => {
          const { cpuSec, durationSec } = usageOf(reachable(call), parts.clock.now());
          const currentUsage = [Number(cpuSec), Number(durationSec)];
          const timestamp = Math.floor(parts.clock.now() / 1000);
          return ok({ currentUsage, timestamp } satisfies ActivityApi.ActivityUsageDTO);
        },
      },
    ],
    of: (agreement) => [...activities.values()].filter((one) => one.agreement === agreement),
    get: (id) => activities.get(id),
    open: () => [...activities.values()].filter(({ state }) => state !== 'Terminated'),
    end(agreement) {
      for (const activity of activities.values()) if (activity.agreement === agreement) finish(activity);
    },
    die,
    async close() {
      await Promise.all([...activities.values()].map(({ unit }) => unit.close()));
    },
  };
}

/** Seconds so far, as decimals; what the script says wins. */
export function usageOf(activity: Activity, now: number): { cpuSec: string; durationSec: string } {
  const { usage } = activity.agreement.provider.script;
  if (usage !== undefined) return usage;
  const duration = ((activity.endedAt ?? now) - activity.startedAt) / 1000;
  return { cpuSec: activity.unit.busySeconds().toFixed(6), durationSec: duration.toFixed(6) };
}

function scriptOf(text: string) {
  try {
    return commands.parse(JSON.parse(text));
  } catch (error) {
    throw new Failure(400, `Bad request: ${String(error)}`);
  }
}
