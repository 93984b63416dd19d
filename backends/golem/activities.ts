/**
 * The SDK's activities without its questions to nobody's benefit. After each of its steps it asks for the whole activity
 * again, by four calls in a row of which two go to the provider, only to tell listeners that nobody has registered. What
 * an attempt needs of it is the state before and after the deploy: one call each.
 */
import type { Yagna } from './hardened-yagna.ts';
import type { Golem, Sdk } from './sdk.ts';
import type { Cancelable } from './waiting.ts';

type Override = NonNullable<Golem.GolemNetworkOptions['override']>;
type ActivityApi = NonNullable<Override['activityApi']>;

export function leanActivities(sdk: Sdk, yagna: Yagna): Required<Pick<Override, 'activity' | 'activityApi'>> {
  const api = createApi(sdk, yagna);
  class LeanActivities extends sdk.ActivityModuleImpl {
    override executeScript(...asked: Parameters<ActivityApi['executeScript']>) {
      return api.executeScript(...asked);
    }
    override getBatchResults(...asked: Parameters<ActivityApi['getExecBatchResults']>) {
      return api.getExecBatchResults(...asked);
    }
  }
  return { activityApi: api, activity: LeanActivities };
}

function createApi(sdk: Sdk, yagna: Yagna): ActivityApi {
  const { control, state, exec } = yagna.activity;
  const { ActivityStateEnum } = sdk;
  /** Of all that were made; a connection makes a limited number of them (connection.ts). */
  const agreements = new Map<string, Golem.Agreement>();

  const stateOf = async (id: string): Promise<Golem.ActivityStateEnum> => {
    const name = (await state.getActivityState(id)).state[0];
    return name === null || name === undefined ? ActivityStateEnum.Unknown : ActivityStateEnum[name];
  };
  const activity = (
    id: string,
    agreement: Golem.Agreement,
    current: Golem.ActivityStateEnum,
  ): Golem.Activity => new sdk.Activity(id, agreement, current, current, { timestamp: 0 });

  return {
    async createActivity(agreement, signalOrTimeout) {
      const signal = sdk.createAbortSignalFromTimeout(signalOrTimeout);
      const made = await endedBy(signal, control.createActivity({ agreementId: agreement.id }));
      if (typeof made !== 'object' || !('activityId' in made))
        throw new Error(`yagna made an activity without an id: ${JSON.stringify(made)}`);
      agreements.set(made.activityId, agreement);
      return activity(made.activityId, agreement, ActivityStateEnum.Initialized);
    },
    async getActivity(id) {
      const agreement = agreements.get(id);
      if (agreement === undefined) throw new Error(`activity ${id} was not made here`);
      return activity(id, agreement, await stateOf(id));
    },
    getActivityState: stateOf,
    async destroyActivity(one, signalOrTimeout) {
      await endedBy(sdk.createAbortSignalFromTimeout(signalOrTimeout), control.destroyActivity(one.id, 30));
      return activity(one.id, one.agreement, ActivityStateEnum.Terminated);
    },
    executeScript: (one, script) => control.exec(one.id, script),
    async getExecBatchResults(one, batch, commandIndex, timeout) {
      const results = await control.getExecBatchResults(one.id, batch, commandIndex, timeout);
      return results.map((result) => new sdk.Result(result));
    },
    getExecBatchEvents: (one, batch) => exec.observeBatchExecResults(one.id, batch),
  };
}

async function endedBy<T>(signal: AbortSignal, call: Cancelable<T>): Promise<T> {
  const stop = (): void => call.cancel();
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  try {
    return await call;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
