/**
 * Ends a job whose own workflow closed without ending it (terminated by hand, timed out, reset away): every execution
 * without a receipt is attested as `failed` with `workflow_closed`, or as it was when its outcome is already staged.
 */
import { attest } from './steps.ts';

export interface RepairInput {
  job: string;
}

export async function repairWorkflow({ job }: RepairInput): Promise<void> {
  for (;;) {
    const { open } = await attest({ job, indexes: 'open', reason: 'workflow_closed' });
    if (open === 0) return;
  }
}
