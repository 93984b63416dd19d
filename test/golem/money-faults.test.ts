import { describe, expect, it, vi } from 'vitest';
import { eventually } from '../support/eventually.ts';
import type { Endpoint, EndpointFault } from '../yagna/endpoint-faults.ts';
import { bad, failedWith, faultStand, good, SLOW } from './fault-stand.ts';

// The SDK's fixed pauses overlap.
vi.setConfig({ maxConcurrency: 20, testTimeout: 60_000 });

const SOON = { waits: { invoiceMs: 300 } };

describe.concurrent('bills', () => {
  it('above what was agreed are rejected and cost nothing; the output stays', async () => {
    const greedy = { at: 'invoice', do: 'overprice', factor: '1000000' } as const;
    await using stand = await faultStand([bad(greedy, { at: 'debit-note', do: 'none' })]);
    await stand.completesOn('bad');
    await stand.closed('0');
    expect(stand.yagna.books().agreements).toMatchObject([{ billed: '1000', accepted: '0' }]);
  });

  it('above what was agreed, after a debit note that was not: the note is what it costs', async () => {
    await using stand = await faultStand([
      { ...bad({ at: 'invoice', do: 'overprice', factor: '1000000' }), speed: { debitNoteMs: 100 } },
    ]);
    await stand.completesOn('bad');
    await stand.closed('0.001');
  });

  it('that never come leave the money with the sweeper, and hold the job up only so long', async () => {
    await using stand = await faultStand([bad({ at: 'invoice', do: 'none' })], SOON);
    const told = await stand.completesOn('bad');
    expect(told.recorded.settled).toBeUndefined();
    await stand.closed('0.001', [/^open allocation /]);
  });

  it('that come late leave the money with the sweeper, and nothing runs any more', async () => {
    await using stand = await faultStand([bad({ at: 'invoice', do: 'late', ms: 3_000 })], SOON);
    await stand.completesOn('bad');
    expect(stand.yagna.books()).toMatchObject({ openAgreements: [], openActivities: [], openDemands: [] });
  });

  it('that come twice are paid once', async () => {
    await using stand = await faultStand([bad({ at: 'invoice', do: 'double' })]);
    await stand.completesOn('bad');
    await stand.closed('0.001');
  });

  it('that yagna would not accept at first are accepted when it does', async () => {
    await using stand = await faultStand([bad()]);
    stand.yagna.fault('POST /payment-api/v1/invoices/*', { status: 500, times: 1 });
    await stand.completesOn('bad');
    await stand.closed('0.001');
  });

  it('that yagna refuses for good are not paid; their money waits for the sweeper', async () => {
    await using stand = await faultStand([bad()], SOON);
    stand.yagna.fault('POST /payment-api/v1/invoices/*', { status: 400, message: 'Not enough funds' });
    await stand.completesOn('bad');
    const { openAllocations, spent, accepted } = stand.yagna.books();
    expect(openAllocations).toHaveLength(1);
    expect(spent).toBe(accepted);
  });

  it('by debit notes that cannot be accepted make the provider leave', async () => {
    const impatient = { ...bad(), speed: { debitNoteMs: 100, acceptDebitNoteMs: 300 } };
    await using stand = await faultStand([impatient, good()]);
    const run = stand.run(SLOW);
    const notes = '/payment-api/v1/debitNotes/{document}/accept';
    stand.yagna.fault('POST /payment-api/v1/debitNotes/*', { status: 500 });
    await eventually(() => stand.yagna.journal.count('POST', notes) > 0 || undefined);
    await eventually(() => stand.yagna.books().openActivities.length === 0 || undefined);
    stand.yagna.heal();
    expect(failedWith(await run)).toMatch(
      /^provider_lost: the provider ended the agreement: Requestor did not accept DebitNote/,
    );
    await stand.closed('0.001');
  });

  it('are not held up by a debit note that cannot be accepted', async () => {
    await using stand = await faultStand([bad()], { waits: { invoiceMs: 8_000 } });
    stand.yagna.fault('POST /payment-api/v1/debitNotes/*', { status: 500 });
    await stand.completesOn('bad');
    // Its attempt knows what it cost.
    await stand.closed('0.001');
  });

  it('are within the total that an attempt may cost, or are not paid', async () => {
    const greedy = [
      { at: 'invoice', do: 'overprice', factor: '2' },
      { at: 'debit-note', do: 'none' },
    ] as const;
    const caps = { start: 0.5, cpuHour: 0.5, envHour: 0.5, minute: null, total: 0.0015 };
    await using stand = await faultStand([bad(...greedy)], { caps });
    await stand.completesOn('bad');
    await stand.closed('0');
  });

  it('by debit notes while it runs are accepted, and the invoice pays only the rest', async () => {
    await using stand = await faultStand([{ ...bad(), speed: { debitNoteMs: 100 } }]);
    await stand.completesOn('bad');
    expect(stand.yagna.journal.count('POST', '/payment-api/v1/debitNotes/{document}/accept')).toBeGreaterThan(
      2,
    );
    await stand.closed('0.001');
  });

  it('by a debit note above the cap end the run', async () => {
    const greedy = {
      ...bad({ at: 'debit-note', do: 'overprice', factor: '1000000' }, { at: 'invoice', do: 'none' }),
      speed: { debitNoteMs: 100 },
    };
    await using stand = await faultStand([greedy, good()], SOON);
    expect(failedWith(await stand.run(SLOW))).toMatch(/^provider_rejected: the provider asks for 1000, /);
    await stand.completesOn('good');
    await stand.closed('0.1', [/^open allocation /]);
  });

  it('cannot come when the wallet is empty: nothing is tried, and the failure says so', async () => {
    await using stand = await faultStand([bad()], {}, { funds: '0.0001' });
    expect(failedWith(await stand.run())).toMatch(/^funds_insufficient: /);
    expect(stand.yagna.journal.count('POST', '/market-api/v1/demands')).toBe(0);
    await stand.closed('0');
  });
});

describe.concurrent('yagna itself', () => {
  it.each<[string, EndpointFault]>([
    ['answers 500', { status: 500 }],
    ['drops every connection', { drop: 'request' }],
  ])('%s for a while as a program runs: the job is done', async (_how, fault) => {
    await using stand = await faultStand([bad()]);
    const run = stand.run(['sh', '-c', 'sleep 2; cat "$BEACON_INPUT"']);
    await eventually(() => stand.yagna.books().openActivities.length > 0 || undefined);
    await eventually(
      () =>
        stand.yagna.journal.count('GET', '/activity-api/v1/activity/{activity}/exec/{batch}') > 1 ||
        undefined,
    );
    stand.yagna.fault('*', { ...fault, forMs: 2_500 });
    expect(failedWith(await run)).toBe('none');
    await stand.closed('0.001');
  });

  it('restarts and forgets the demand while it is out: a new one is made', async () => {
    await using stand = await faultStand([{ ...bad(), speed: { counterMs: 2_000 } }]);
    const run = stand.run();
    await eventually(() => stand.yagna.books().openDemands.length > 0 || undefined);
    await stand.yagna.restart({ forget: true });
    expect(failedWith(await run)).toBe('none');
    expect(stand.yagna.journal.count('POST', '/market-api/v1/demands')).toBeGreaterThan(1);
    await stand.closed('0.001');
  });

  it.each<Endpoint>([
    'POST /payment-api/v1/allocations',
    'POST /market-api/v1/demands',
    'POST /market-api/v1/agreements',
    'POST /activity-api/v1/activity',
  ])('loses its answer to %s: what was made is found again and ended', async (endpoint) => {
    await using stand = await faultStand([bad()], { waits: { ...SOON.waits, agreeMs: 3_000 } });
    stand.yagna.fault(endpoint, { drop: 'answer', times: 1 });
    await stand.run().catch(() => undefined);
    await eventually(() => {
      const { openAgreements, openActivities, openDemands } = stand.yagna.books();
      return [...openAgreements, ...openActivities, ...openDemands].length === 0 || undefined;
    }, 10_000);
  });

  it('too old for hoodi, or with another key, is refused before anything', async () => {
    await using old = await faultStand([bad()], {}, { version: '0.17.3' });
    await expect(old.run()).rejects.toThrow(/0\.17\.3 is too old for hoodi/);
    await using closed = await faultStand([bad()], { apiKey: 'wrong' });
    await expect(closed.run()).rejects.toThrow();
    await old.closed('0');
    await closed.closed('0');
  });
});
