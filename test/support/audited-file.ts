import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { auditedLog, freshAuditor, type AuditedLog, type Auditor } from './audited-log.ts';

/** Gives the tests of a file one log, and each of them an auditor who knows nothing yet. */
export function withAuditedLog(take: (stand: AuditedLog, auditor: Auditor) => void): void {
  let stand: AuditedLog;
  let auditor: Auditor;
  beforeAll(async () => {
    stand = await auditedLog();
  });
  afterAll(() => stand[Symbol.asyncDispose]());
  beforeEach(async () => {
    auditor = await freshAuditor(stand);
    take(stand, auditor);
  });
  afterEach(() => auditor[Symbol.asyncDispose]());
}
