import type { Step } from '../backends/backend.ts';
import { decimalOf } from '../domain/money/decimal.ts';
import { acceptCost, holdCost } from '../store/payments.ts';
import type { Pool } from '../store/pool.ts';
import type { WorkRow } from '../store/work.ts';
import { bridged } from './bridged.ts';

export interface BudgetOptions {
  pool: Pool;
  jobId: string;
  row: WorkRow;
  /** Of the job; asked for when something is to be held. */
  maxCost(): string | null;
  /** The attempt goes on elsewhere: ends this one and throws. */
  fencedOff(): never;
  /** Called after each commit that may have written events. */
  committed(): void;
}

/** The money side of an attempt's step. */
export function createBudget(options: BudgetOptions): Pick<Step, 'reserve' | 'settle'> {
  const { pool, jobId, row, maxCost, fencedOff, committed } = options;
  return {
    async reserve({ platform, cap }) {
      const wanted = { platform, cap: decimalOf(cap) };
      const held = await bridged(() => holdCost(pool, row, jobId, wanted, maxCost()));
      if (held.kind === 'fenced') return fencedOff();
      return held.kind === 'held' ? { ok: true } : { ok: false, left: held.left };
    },
    async settle(accepted) {
      if (accepted === null) return;
      const amount = decimalOf(accepted);
      await bridged(() => acceptCost(pool, row, amount));
      committed();
    },
  };
}
