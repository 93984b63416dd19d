import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRequestor, demandBody, refusal, type Requestor } from './raw-requestor.ts';
import { startYagna, type Yagna } from './yagna.ts';

/** Every provider of this daemon has one thing about it, and every test asks for one of them. */
let yagna: Yagna;
let me: Requestor;
beforeAll(async () => {
  yagna = await startYagna({
    providers: [
      { name: 'well', region: 'EU', runtime: { capabilities: ['inet', 'vpn'] } },
      { name: 'silent', faults: [{ at: 'offer', do: 'silent' }] },
      { name: 'unpriced', faults: [{ at: 'offer', do: 'without-prices' }] },
      { name: 'malformed', faults: [{ at: 'offer', do: 'malformed' }] },
      { name: 'refuses', faults: [{ at: 'counter', do: 'reject', reason: 'not today' }] },
      { name: 'refuses-mutely', faults: [{ at: 'counter', do: 'reject' }] },
      { name: 'says-nothing', faults: [{ at: 'counter', do: 'silent' }] },
      { name: 'stumbles', faults: [{ at: 'counter', do: 'error', times: 1 }] },
      { name: 'late', speed: { offerMs: 120 } },
      { name: 'full', capacity: 0 },
      { name: 'fast-clock', clockSkewMs: 2 * 3_600_000 },
      { name: 'never-approves', faults: [{ at: 'approval', do: 'never' }] },
      { name: 'slow', faults: [{ at: 'approval', do: 'slow', ms: 150 }] },
      { name: 'rejects', faults: [{ at: 'approval', do: 'reject', reason: 'took another' }] },
      { name: 'lets-expire', faults: [{ at: 'approval', do: 'expire' }] },
      { name: 'elsewhere', subnet: 'other' },
    ],
  });
  me = createRequestor(yagna);
});
afterAll(() => yagna.stop());

describe.concurrent('offers', () => {
  it('come from those whose offer satisfies the demand, and only from those whom the demand satisfies', async () => {
    const found = async (constraints: string) => {
      const demand = await me.subscribe(demandBody(yagna, { constraints }));
      await pause(30);
      const events = await me.events(demand, 0);
      return events.flatMap((event) =>
        event.eventType === 'ProposalEvent' ? [String(event.proposal.properties['golem.node.id.name'])] : [],
      );
    };
    expect(await found('(golem.runtime.beacon-region=EU)')).toEqual(['well']);
    expect(await found('(golem.runtime.capabilities=vpn)(golem.runtime.beacon-region=*)')).toEqual(['well']);
    expect(await found('(golem.inf.mem.gib>=8)(golem.inf.mem.gib<8)')).toEqual([]);
    expect((await found('(|(golem.node.id.name=well)(golem.node.id.name=f*))')).sort()).toEqual([
      'fast-clock',
      'full',
      'well',
    ]);
    expect(await found('(golem.node.id.name=elsewhere)')).toEqual([]);
  });

  it('without prices and malformed ones are delivered as they are, a silent provider sends none', async () => {
    const coefficients = async (name: string) => {
      const demand = await me.subscribe(demandBody(yagna, { name }));
      const events = await me.events(demand, 0.2);
      return events.map((event) =>
        event.eventType === 'ProposalEvent'
          ? (event.proposal.properties['golem.com.pricing.model.linear.coeffs'] as unknown)
          : null,
      );
    };
    expect(await coefficients('silent')).toEqual([]);
    expect(await coefficients('unpriced')).toEqual([undefined]);
    expect(await coefficients('malformed')).toEqual([[0]]);
  });

  it('are scanned without a demand', async () => {
    const scan = (await me.market.beginScan({
      type: 'offer',
      constraints: '(golem.node.id.name=well)',
    })) as string;
    const offers = await me.market.collectScanResults(scan);
    expect(offers).toMatchObject([{ providerId: yagna.providers[0]!.id }]);
    await me.market.endScan(scan);
    expect(await refusal(me.market.collectScanResults(scan))).toMatchObject({ status: 404 });
  });
});

describe.concurrent('the queue of a demand', () => {
  it('gives each event once, wakes at once, and ends with 404 when the demand goes', async () => {
    const demand = await me.subscribe(demandBody(yagna, { name: 'well' }));
    const began = performance.now();
    expect(await me.events(demand, 5)).toHaveLength(1);
    expect(performance.now() - began).toBeLessThan(1_000);
    const waiting = refusal(me.events(demand, 5));
    await pause(20);
    await me.market.unsubscribeDemand(demand);
    expect(await waiting).toMatchObject({ status: 404 });
    expect(performance.now() - began).toBeLessThan(2_000);
  });

  it('keeps its events for the next reader when the first went away', async () => {
    const demand = await me.subscribe(demandBody(yagna, { name: 'late' }));
    const left = me.market.collectOffers(demand, 5, 10);
    left.catch(() => undefined);
    await pause(30);
    left.cancel();
    expect(await me.events(demand, 5)).toHaveLength(1);
  });

  it('refuses a demand it does not understand, and more than a hundred events at a time', async () => {
    const body = { properties: {}, constraints: '(&(a=b)' };
    expect(await refusal(me.market.subscribeDemand(body))).toMatchObject({ status: 400 });
    const demand = await me.subscribe(demandBody(yagna));
    expect(await refusal(me.market.collectOffers(demand, 0, 101))).toMatchObject({ status: 400 });
  });
});

describe.concurrent('a counter-proposal', () => {
  it.each([
    ['refuses', { message: 'not today' }],
    ['refuses-mutely', undefined],
    ['full', { message: expect.stringContaining('No capacity') as string }],
    ['fast-clock', { message: expect.stringContaining('expires') as string }],
  ])('to %s is rejected', async (name, reason) => {
    const { answer } = await me.negotiate(name);
    expect(answer?.eventType).toBe('ProposalRejectedEvent');
    expect(answer).toEqual(expect.objectContaining(reason === undefined ? {} : { reason }));
    if (reason === undefined) expect(answer).not.toHaveProperty('reason');
  });

  it('to a provider that says nothing gets no answer; to one that stumbles a 500', async () => {
    expect((await me.negotiate('says-nothing')).answer).toBeUndefined();
    expect(await refusal(me.negotiate('stumbles'))).toMatchObject({ status: 500 });
    expect((await me.negotiate('stumbles')).answer?.eventType).toBe('ProposalEvent');
  });
});

describe.concurrent('an agreement', () => {
  it('waits as its provider wants: 204, 408 and still pending, 410', async () => {
    await me.market.waitForApproval(await me.propose('slow'), 2);
    const pending = await me.propose('never-approves');
    expect(await refusal(me.market.waitForApproval(pending, 0.1))).toMatchObject({ status: 408 });
    expect(await me.market.getAgreement(pending)).toMatchObject({ state: 'Pending' });
    await me.market.cancelAgreement(pending, { message: 'too slow' });
    expect(await refusal(me.market.waitForApproval(pending, 0.1))).toMatchObject({ status: 410 });
    for (const name of ['rejects', 'lets-expire'])
      expect(await refusal(me.market.waitForApproval(await me.propose(name), 1))).toMatchObject({
        status: 410,
      });
  });

  it('is told of by unique growing stamps, each strictly later than what was read, in its own session', async () => {
    const other = createRequestor(yagna);
    const agreements = [await me.agree('well'), await me.agree('well'), await other.agree('well')];
    for (const agreement of agreements) await me.terminate(agreement);
    const first = await me.market.collectAgreementEvents(1, me.started, 100, me.session);
    const own = first.filter(({ agreementId }) => agreements.includes(agreementId));
    expect(own.map((event) => event.eventType)).toEqual([
      'AgreementApprovedEvent',
      'AgreementApprovedEvent',
      'AgreementTerminatedEvent',
      'AgreementTerminatedEvent',
    ]);
    const stamps = first.map(({ eventDate }) => eventDate);
    expect(stamps).toEqual([...new Set(stamps)].sort());
    expect(stamps.every((stamp) => /\.\d{6}Z$/.test(stamp))).toBe(true);
    const later = await me.market.collectAgreementEvents(0, own[1]!.eventDate, 100, me.session);
    expect(later.map(({ eventDate }) => eventDate)).not.toContain(own[1]!.eventDate);
    expect(later.map(({ eventDate }) => eventDate)).toContain(own[2]!.eventDate);
  });

  it('is made once of a draft, ends once, and is found by listing', async () => {
    const { demand, answer } = await me.negotiate('well', { 'golem.beacon.attempt': 'abc' });
    if (answer?.eventType !== 'ProposalEvent') throw new Error('no draft');
    const draft = {
      proposalId: answer.proposal.proposalId,
      validTo: new Date(Date.now() + 3_600_000).toISOString(),
    };
    const agreement = (await me.market.createAgreement(draft)) as string;
    expect(await refusal(me.market.createAgreement(draft))).toMatchObject({ status: 409 });
    expect(await refusal(me.terminate(agreement))).toMatchObject({ status: 409 });
    expect(await refusal(me.market.waitForApproval(agreement, 0))).toMatchObject({ status: 400 });
    await me.market.confirmAgreement(agreement, me.session);
    await me.market.waitForApproval(agreement, 1);
    expect(await me.market.getAgreement(agreement)).toMatchObject({
      demand: { demandId: demand, properties: { 'golem.beacon.attempt': 'abc' } },
      offer: { providerId: yagna.providers[0]!.id },
    });
    const approved = (await me.market.listAgreements(undefined, 'Approved')) as { id: string }[];
    expect(approved.map(({ id }) => id)).toContain(agreement);
    await me.terminate(agreement);
    expect(await refusal(me.terminate(agreement))).toMatchObject({ status: 410 });
    expect(yagna.books().agreements.find((one) => one.agreementId === agreement)?.attempt).toBe('abc');
  });
});
