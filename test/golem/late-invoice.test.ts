// A provider whose invoice comes long after its attempt was given up, with the real sweeper and the real database.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sweepOnce } from '../../activities/sweep.ts';
import { createBusinessEvents } from '../../observability/events.ts';
import { createLogger } from '../../observability/log.ts';
import { createMetrics } from '../../observability/metrics.ts';
import { readJobCost } from '../../store/payments.ts';
import { golemBooks } from '../../worker/golem-books.ts';
import { eventually } from '../support/eventually.ts';
import { emulatorSettings, IMAGE } from '../support/golem.ts';
import type { ProviderScript } from '../yagna/provider.ts';
import { golemStand, ONLY_GOLEM, type GolemStand } from './stand.ts';

const LATE_MS = 8_000;
let stand: GolemStand;

beforeAll(async () => {
  const slow: ProviderScript = {
    name: 'slow',
    region: 'US',
    prices: { start: '0.01', cpuSec: '0', envSec: '0' },
    faults: [
      { at: 'invoice', do: 'late', ms: LATE_MS },
      { at: 'debit-note', do: 'none' },
    ],
  };
  stand = await golemStand([slow], { waits: { invoiceMs: 300 } });
});
afterAll(() => stand[Symbol.asyncDispose]());

it('an invoice that comes after its attempt was given up is refused, and nothing stays open', async () => {
  const { yagna, golem, core } = stand;
  const job = await core.start({ image: IMAGE, command: ['echo', 'answered'] }, ONLY_GOLEM);
  expect(await core.ended(job)).toBe('completed');
  const { pool } = core.db;
  const events = createBusinessEvents(createLogger('test', 'silent'), createMetrics());
  const books = golemBooks(emulatorSettings(yagna), golem.breaker);
  const sweep = () =>
    sweepOnce(
      { pool, backend: 'golem', books, events, committed: () => undefined },
      new AbortController().signal,
    );
  // More than an hour passes.
  await pool.query(`update attempts set ended_at = ended_at - interval '2 hours'`);
  await sweep();
  const [cost] = await readJobCost(pool, job);
  expect(cost).toMatchObject({ held: '0.000000000000000000', accepted: '0.000000000000000000' });
  expect(yagna.books().openAllocations).toEqual([]);

  const [agreement] = yagna.books().agreements;
  const invoices = () => books.invoicesSince(new Date(Date.now() - 600_000).toISOString());
  await eventually(async () => ((await invoices()).length === 1 ? true : undefined));
  await sweep();
  expect(await invoices()).toMatchObject([{ agreementId: agreement!.agreementId, status: 'REJECTED' }]);
  expect(yagna.payments()).toEqual([]);
  expect(yagna.books().problems).toEqual([]);
  // Once refused it is not looked at again.
  await sweep();
  expect(await readJobCost(pool, job)).toEqual([cost]);
}, 60_000);
