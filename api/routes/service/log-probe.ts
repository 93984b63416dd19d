import { readSequencer } from '../../../store/log-state.ts';
import type { Pool } from '../../../store/pool.ts';
import { UnhealthyError, type HealthProbe } from './health.ts';

/** Whether the log is signed: unhealthy while its sequencer refuses. Jobs go on meanwhile, so it is not required. */
export function transparencyLogProbe(pool: Pool): HealthProbe {
  return {
    name: 'transparency_log',
    required: false,
    async check() {
      const said = await readSequencer(pool);
      if (said?.state !== 'refusing') return;
      // The code alone: the whole reason names files of the operator.
      throw new UnhealthyError(`the log is not signed any more: ${said.refusal?.code ?? 'unknown'}`);
    },
  };
}
