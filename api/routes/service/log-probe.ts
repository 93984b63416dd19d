import { readFreshness } from '../../../store/log-cosignatures.ts';
import { readSequencer } from '../../../store/log-state.ts';
import type { Pool } from '../../../store/pool.ts';
import { UnhealthyError, type HealthProbe } from './health.ts';

/** Two sequencers on one log are a fault of the set-up: shown for this long, though none of them did any harm. */
const MET_SHOWN_S = 300;
/** The own cosigner says it every minute. */
const STALE_S = 180;

/**
 * Whether the log is signed: unhealthy while its sequencer refuses, for a while after two of them met, and when nobody
 * leads, which shows by the cosigner's silence. Jobs go on meanwhile, so it is not required.
 */
export function transparencyLogProbe(pool: Pool): HealthProbe {
  return {
    name: 'transparency_log',
    required: false,
    async check() {
      const said = await readSequencer(pool);
      if (said === undefined) return;
      // The code alone: the whole reason names files of the operator.
      if (said.state === 'refusing')
        throw new UnhealthyError(`the log is not signed any more: ${said.refusal?.code ?? 'unknown'}`);
      if (said.metSecondsAgo !== null && said.metSecondsAgo < MET_SHOWN_S)
        throw new UnhealthyError('two sequencers led the log at once; one stepped back');
      const age = (await readFreshness(pool))?.ageSeconds ?? 0;
      if (age > STALE_S)
        throw new UnhealthyError(
          `nobody said for ${Math.round(age)} s that the newest checkpoint is the newest`,
        );
    },
  };
}
