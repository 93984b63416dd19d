import type { Books } from '../activities/sweep.ts';
import { guardedRest } from '../backends/golem/away.ts';
import type { Breaker } from '../backends/golem/breaker.ts';
import type { GolemSettings } from '../backends/golem/index.ts';
import { releaseAttempt } from '../backends/golem/release.ts';
import { answered, createRest } from '../backends/golem/rest.ts';
import { platformOf } from '../backends/golem/settings.ts';
import { billsOf, isSettled, sweepAttempt } from '../backends/golem/sweep.ts';
import { readBalance } from '../backends/golem/wallet.ts';

/** What the sweeper asks of yagna, unless it is away. It needs nothing of the SDK. */
export function golemBooks(settings: GolemSettings, breaker: Pick<Breaker, 'run'>): Books {
  const rest = guardedRest(createRest(settings, settings.waits.releaseCallMs), breaker);
  const deps = { rest, refused: (error: unknown) => answered(error, 400, 404, 410) };
  return {
    platform: platformOf(settings.network),
    invoicesSince: (time) => rest.invoicesSince(time),
    release: (ids) => releaseAttempt(rest, ids),
    settle: (owed, left, invoices) => sweepAttempt(deps, owed, left, invoices),
    isBilled: (owed, left, invoices) => billsOf(owed, left, invoices).length > 0,
    isSettled,
    refuse: ({ invoiceId }, why) => rest.rejectInvoice(invoiceId, why),
    balance: () => readBalance(settings.network),
  };
}
