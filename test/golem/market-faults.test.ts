import { describe, expect, it, vi } from 'vitest';
import { newWork } from '../backends/stand.ts';
import { IMAGE } from '../support/golem.ts';
import { ANSWER, bad, failedWith, faultStand, good } from './fault-stand.ts';

// The SDK's fixed pauses overlap.
vi.setConfig({ maxConcurrency: 20, testTimeout: 60_000 });

const LATER = { waits: { approvalMs: 1_000 } };

describe.concurrent('what providers do wrong before they run anything', () => {
  it('no offers: said so, and not a single allocation or demand was made', async () => {
    await using stand = await faultStand([bad({ at: 'offer', do: 'silent' })], {
      waits: { strictMs: 300, relaxedMs: 300 },
    });
    const told = await stand.run();
    expect(told.negotiated).toMatchObject({ candidates: [], seen: 0 });
    expect(failedWith(told)).toMatch(/^no_offers: /);
    const { journal } = stand.yagna;
    expect(journal.count('POST', '/payment-api/v1/allocations')).toBe(0);
    expect(journal.count('POST', '/market-api/v1/demands')).toBe(0);
    await stand.closed('0');
  });

  it.each(['without-prices', 'without-usage', 'malformed'] as const)(
    'an offer %s: the process lives, and the job is done elsewhere',
    async (fault) => {
      await using stand = await faultStand([bad({ at: 'offer', do: fault }), good()]);
      await stand.completesOn('good');
      await stand.closed('0.1');
    },
  );

  it('offers that turn bad only under a demand: the process lives, and the job is done elsewhere', async () => {
    // The look at the market is shared, and the fault begins after it.
    await using stand = await faultStand([bad(), good()], { waits: { shareMs: 60_000 } });
    const needs = newWork({ image: IMAGE, command: ANSWER, region: 'US' });
    const { seen } = await stand.golem.negotiate(needs, new AbortController().signal);
    expect(seen).toBe(2);
    stand.yagna.fault('bad', { at: 'offer', do: 'without-prices' });
    await stand.completesOn('good');
    await stand.closed('0.1');
  });

  it('only too expensive offers: an error of their own', async () => {
    await using stand = await faultStand([good({ prices: { start: '100' } })]);
    expect(failedWith(await stand.run())).toMatch(/^offers_too_expensive: 1 offers .* 1 by price/);
    await stand.closed('0');
  });

  it.each([
    ['by the minute', { minute: 0.0001, total: null }],
    ['in all', { minute: null, total: 0.05 }],
  ])('only offers that are too expensive %s: nothing is held for them', async (_how, more) => {
    const caps = { start: 0.5, cpuHour: 0.5, envHour: 0.5, ...more };
    await using stand = await faultStand(
      [good({ prices: { start: '0.1', cpuSec: '0.00001', envSec: '0' } })],
      {
        caps,
      },
    );
    expect(failedWith(await stand.run())).toMatch(/^offers_too_expensive: 1 offers .* 1 by price/);
    expect(stand.yagna.journal.count('POST', '/payment-api/v1/allocations')).toBe(0);
    await stand.closed('0');
  });

  it('an offer that comes only in the relaxed window is found, and said to be', async () => {
    await using stand = await faultStand([good({ speed: { offerMs: 900 } })], {
      waits: { strictMs: 400, relaxedMs: 15_000 },
    });
    const told = await stand.completesOn('good');
    expect(told.negotiated.window).toBe('relaxed');
    expect(told.talks).toMatchObject([{ window: 'relaxed' }]);
    await stand.closed('0.1');
  });

  it.each([
    ['with a reason', { at: 'counter', do: 'reject', reason: 'not today' }],
    ['without a reason', { at: 'counter', do: 'reject' }],
    ['by an error of yagna', { at: 'counter', do: 'error' }],
    ['by silence', { at: 'counter', do: 'silent' }],
  ] as const)('a counter-proposal refused %s: the job is done elsewhere', async (_how, fault) => {
    await using stand = await faultStand([bad(fault), good()]);
    await stand.completesOn('good');
    await stand.closed('0.1');
  });

  it('a clock that is hours off refuses, and the job is done elsewhere', async () => {
    await using stand = await faultStand([{ ...bad(), clockSkewMs: 5 * 3_600_000 }, good()]);
    await stand.completesOn('good');
    await stand.closed('0.1');
  });

  it('everybody refuses: nobody_approved, with the number and the last text', async () => {
    await using stand = await faultStand([
      bad({ at: 'counter', do: 'reject', reason: 'not today' }),
      good({ faults: [{ at: 'approval', do: 'reject', reason: 'took another' }] }),
    ]);
    const told = await stand.run();
    expect(failedWith(told)).toMatch(
      /^nobody_approved: none of 2 candidates approved, 2 refused; \w+ said: /,
    );
    expect(told.outcome.placement.provider).toBeNull();
    await stand.closed('0');
  });

  it('approval comes late but in time: the job is done there', async () => {
    await using stand = await faultStand([bad({ at: 'approval', do: 'slow', ms: 1_000 }), good()]);
    await stand.completesOn('bad');
    await stand.closed('0.001');
  });

  it.each([
    ['never comes (408)', { at: 'approval', do: 'never' }],
    ['is refused (410)', { at: 'approval', do: 'reject', reason: 'took another' }],
    ['expires (410)', { at: 'approval', do: 'expire' }],
  ] as const)('approval %s: nothing stays pending, and the job is done elsewhere', async (_how, fault) => {
    await using stand = await faultStand([bad(fault), good()], LATER);
    await stand.completesOn('good', ANSWER);
    await stand.closed('0.1');
  });
});
