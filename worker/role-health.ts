import type { Sequencer } from '../attestation/log/sequencer.ts';
import type { Values } from '../config/variables.ts';
import type { Log } from '../observability/log.ts';
import { askDatabase } from '../store/alive.ts';
import type { Process } from './process.ts';
import type { Loop } from './loop.ts';
import { startRoleServer, type RoleCheck } from './role-server.ts';
import type { TemporalWorkers } from './temporal-workers.ts';
import { createTemporalProbe } from './temporal.ts';

/** A loop that tries for this long without one pass that succeeds does not do its work. */
const STRUGGLING_MS = 30_000;

export function loopCheck(loop: Pick<Loop, 'name' | 'strugglingMs'>): RoleCheck {
  return {
    name: loop.name,
    check() {
      const ms = loop.strugglingMs();
      if (ms > STRUGGLING_MS) throw new Error(`no pass succeeded for ${Math.round(ms / 1_000)} s`);
    },
  };
}

/** Leading and waiting for the lead are both as it should be. */
export function sequencerCheck(sequencer: Pick<Sequencer, 'status'>): RoleCheck {
  return {
    name: 'sequencer',
    check() {
      const { state, error } = sequencer.status();
      if (state === 'leading' || (state === 'standby' && error === null)) return;
      throw new Error(error === null ? state : `${state}: ${error}`);
    },
  };
}

export function queuesCheck(workers: Pick<TemporalWorkers, 'idleQueues'>): RoleCheck {
  return {
    name: 'task queues',
    check() {
      const idle = workers.idleQueues();
      if (idle.length > 0) throw new Error(`no worker runs for ${idle.join(', ')}`);
    },
  };
}

/** Serves health and metrics of this process where ROLE_PORT says. */
export async function showHealth(
  process: Process,
  settings: Values,
  log: Log,
  checks: readonly RoleCheck[],
): Promise<void> {
  if (settings.ROLE_PORT === null) return;
  const temporal = process.use(createTemporalProbe(settings.TEMPORAL_ADDRESS!));
  process.use(
    await startRoleServer({
      listen: settings.ROLE_PORT,
      checks: [
        { name: 'database', check: () => askDatabase(process.pool) },
        { name: 'temporal', check: () => temporal.check() },
        ...checks,
      ],
      renderMetrics: process.renderOwnMetrics,
      log,
    }),
  );
}
