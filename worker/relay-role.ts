import { readOwnKeys } from '../attestation/log/signers.ts';
import { publishSettings, publishTargetNames } from '../config/publish.ts';
import type { Values } from '../config/variables.ts';
import type { Log } from '../observability/log.ts';
import { startBlobSweep } from './blob-sweep.ts';
import { startFeedPositions } from './feed-positions.ts';
import { startLogAudit } from './log-audit.ts';
import { startLogSequencer } from './log-sequencer.ts';
import { composeProcess, requireDatabaseUrl, requireTemporal, type Role } from './process.ts';
import { startPublishSchedules } from './publish-schedules.ts';
import { startReconciler } from './reconciler.ts';
import { startRelay } from './relay.ts';
import { loopCheck, sequencerCheck, showHealth } from './role-health.ts';
import { startSweepRetirement } from './sweep-schedule.ts';
import { createWorkflowStarter } from './temporal.ts';

/** `beacon relay`: outbox, log sequencer, feed positions, reconciler. Any number may run. */
export async function startRelayRole(settings: Values, log: Log): Promise<Role> {
  const temporalSettings = requireTemporal(settings);
  const process = await composeProcess('relay', settings, log);
  try {
    const { pool, notifier, wakeups, events } = process;
    const temporal = process.use(createWorkflowStarter(temporalSettings));
    const positions = process.use(startFeedPositions({ pool, notifier, wakeups, log }));
    const { sequencer, logHead, logKeys } = await startLogSequencer(
      process,
      requireDatabaseUrl(settings),
      settings,
      log,
    );
    const relay = process.use(
      startRelay({ pool, wakeups, temporal, events, workflowWindow: settings.WORKFLOW_WINDOW }),
    );
    const reconciler = process.use(
      startReconciler({
        pool,
        notifier,
        temporal,
        log,
        everyMs: settings.RECONCILE_INTERVAL * 1_000,
        absentForMs: settings.RECONCILE_ABSENCE * 1_000,
      }),
    );
    const audit = process.use(
      startLogAudit({
        pool,
        logId: logHead.logId,
        keys: () => readOwnKeys(pool, logHead.logId, logKeys),
        events,
        log,
        everyMs: settings.AUDIT_INTERVAL * 1_000,
      }),
    );
    process.use(startSweepRetirement(temporalSettings, pool, log));
    const sweep = process.use(startBlobSweep({ pool, log }));
    const publishing = publishSettings(settings);
    const schedules = process.use(
      startPublishSchedules({
        temporal: temporalSettings,
        targets: publishTargetNames(publishing),
        everyMs: publishing.everyMs,
        log,
      }),
    );
    await showHealth(process, settings, log, [
      sequencerCheck(sequencer),
      ...[relay, positions, reconciler, audit, sweep, schedules].map(loopCheck),
    ]);
    return process.role;
  } catch (error) {
    await process.role[Symbol.asyncDispose]();
    throw error;
  }
}
