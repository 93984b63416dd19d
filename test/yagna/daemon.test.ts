import { describe, expect, it } from 'vitest';
import { createRequestor, demandBody, refusal } from './raw-requestor.ts';
import { startYagna } from './yagna.ts';

describe.concurrent('the daemon', () => {
  it('knows who asks, by its key; version, images and the registry are open to all', async () => {
    await using yagna = await startYagna({ version: '0.15.2' });
    const stranger = createRequestor(yagna, 'wrong');
    expect(await refusal(stranger.allocate())).toMatchObject({ status: 401 });
    const version = (await (await fetch(`${yagna.url}/version/get`)).json()) as {
      current: { version: string };
    };
    expect(version.current.version).toBe('0.15.2');
    const [image] = yagna.images;
    const info = await fetch(`${yagna.url}/v1/image/info?count=true&tag=${image!.tag}`);
    expect(await info.json()).toEqual({ sha3: image!.sha3, http: image!.url, https: image!.url });
    expect((await fetch(`${yagna.url}/v1/image/info?tag=unknown`)).status).toBe(404);
  });

  it('fails at an endpoint as told: so many times, for so long, before or after the work, or by silence', async () => {
    await using yagna = await startYagna();
    const me = createRequestor(yagna);
    yagna.fault('GET /payment-api/v1/allocations', { status: 503, times: 1 });
    expect(await refusal(me.payment.getAllocations())).toMatchObject({ status: 503 });
    expect(await me.payment.getAllocations()).toEqual([]);
    yagna.fault('POST /payment-api/v1/*', { drop: 'request', times: 1 });
    await expect(me.allocate()).rejects.toThrow('fetch failed');
    expect(yagna.books().openAllocations).toEqual([]);
    yagna.fault('POST /payment-api/v1/*', { drop: 'answer', times: 1 });
    await expect(me.allocate()).rejects.toThrow('fetch failed');
    expect(yagna.books().openAllocations).toHaveLength(1);
    yagna.fault('*', { status: 500, forMs: 60 });
    const began = performance.now();
    while (
      await me.payment.getAllocations().then(
        () => false,
        () => true,
      )
    );
    expect(performance.now() - began).toBeGreaterThan(50);
    yagna.fault('GET /me', { hang: true });
    const url = `${yagna.url}/me`;
    const headers = { authorization: `Bearer ${yagna.key}` };
    await expect(fetch(url, { headers, signal: AbortSignal.timeout(50) })).rejects.toThrow();
    yagna.heal();
    expect((await fetch(url, { headers })).status).toBe(200);
    expect(yagna.journal.count('GET', '/me')).toBe(2);
    expect(yagna.journal.total).toBe(yagna.journal.entries.length);
  });

  it('goes away and comes back at the same port, with its agreements and without its demands', async () => {
    await using yagna = await startYagna();
    const me = createRequestor(yagna);
    const agreement = await me.agree(yagna.providers[0]!.name);
    const demand = await me.subscribe(demandBody(yagna));
    await yagna.down();
    await expect(me.market.getDemands()).rejects.toThrow('fetch failed');
    await yagna.up();
    expect(await me.market.getDemands()).toMatchObject([{ demandId: demand }]);
    await yagna.restart({ forget: true });
    expect(await me.market.getDemands()).toEqual([]);
    expect(await refusal(me.events(demand))).toMatchObject({ status: 404 });
    expect(await me.market.getAgreement(agreement)).toMatchObject({ state: 'Approved' });
    expect(yagna.books().problems).toEqual([`open agreement ${agreement}`]);
  });

  it('whose clock is behind stamps its events before those who came just now', async () => {
    await using yagna = await startYagna({ clockSkewMs: -60_000 });
    const me = createRequestor(yagna);
    await me.agree(yagna.providers[0]!.name);
    expect(await me.market.collectAgreementEvents(0, me.started, 100, me.session)).toEqual([]);
    const before = new Date(Date.now() - 70_000).toISOString();
    expect(await me.market.collectAgreementEvents(0, before, 100, me.session)).toHaveLength(1);
  });
});
