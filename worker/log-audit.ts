import { createLogAudit, type LogAuditOptions } from '../attestation/log/audit.ts';
import { pause } from '../domain/pause.ts';
import type { BusinessEvents } from '../observability/events.ts';
import type { Log } from '../observability/log.ts';
import { runLoop, type Loop } from './loop.ts';

/** A relay that starts has better things to do first. */
const FIRST_AFTER_MS = 10_000;
/** Between two pages: at most about four thousand entries a second. */
const BETWEEN_PAGES_MS = 250;

export interface LogAuditLoopOptions extends LogAuditOptions {
  events: Pick<BusinessEvents, 'logAudited'>;
  log: Log;
  /** Time between rounds. */
  everyMs: number;
  firstAfterMs?: number;
}

/** Audits the log in the background, round after round, and tells what came out. */
export function startLogAudit({
  events,
  log,
  everyMs,
  firstAfterMs = FIRST_AFTER_MS,
  ...options
}: LogAuditLoopOptions): Loop {
  const { logId } = options;
  const audit = createLogAudit(options);
  let waitMs = BETWEEN_PAGES_MS;
  return runLoop({
    name: 'log audit',
    firstAfterMs,
    wait: (signal) => pause(waitMs, signal),
    step: async () => {
      const step = await audit.next();
      if (step.kind === 'holds') events.logAudited({ logId, size: step.size, valid: true });
      if (step.kind === 'broken')
        events.logAudited({ logId, size: step.size, valid: false, reason: step.reason });
      waitMs = step.kind === 'rest' || step.kind === 'broken' ? everyMs : BETWEEN_PAGES_MS;
      return false;
    },
    failed: (error) => log.warn({ err: error }, 'the log could not be audited'),
  });
}
