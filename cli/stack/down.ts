import { stopStack, type StopResult } from '../../embedded/stack-state.ts';
import type { Context } from '../context.ts';

const SAID: Record<StopResult, string> = {
  stopped: 'stopped',
  leftovers_ended: 'its supervisor was gone; what it had left behind is ended',
  not_running: 'nothing runs here',
};

/** `beacon down`: nothing to stop is success too. */
export async function down(context: Context): Promise<undefined> {
  const result = await stopStack(context.stateDir, { signal: context.io.signal });
  if (context.json) context.document({ result, state: context.stateDir });
  else context.line(`${SAID[result]} (${context.stateDir})`);
}
