// Each bug of the SDK that ends a process or an attempt, run for real. An error that escapes fails the whole file.
import { describe, expect, it } from 'vitest';
import { outputOf } from '../../test/backends/stand.ts';
import { eventually } from '../../test/support/eventually.ts';
import { golemOn, runOnGolem, type GolemTold } from '../../test/support/golem.ts';
import type { ProviderScript } from '../../test/yagna/provider.ts';
import { startYagna, type Yagna } from '../../test/yagna/yagna.ts';
import type { AttemptOptions } from '../../test/backends/stand.ts';

const HEALTHY: ProviderScript = { name: 'healthy', region: 'US' };
const ECHO = ['sh', '-c', 'echo answered'];

interface Case {
  providers?: ProviderScript[];
  before?(yagna: Yagna): void;
  during?(yagna: Yagna, phase: string): void;
  command?: string[];
  options?: AttemptOptions;
}

/** One attempt on an emulator of its own, so that the cases run at the same time. */
async function attempt({ providers = [HEALTHY], before, during, command = ECHO, options = {} }: Case) {
  const yagna = await startYagna({ providers });
  const golem = golemOn(yagna);
  try {
    before?.(yagna);
    const told = await runOnGolem(golem, command, {
      ...options,
      onPhase: (phase) => during?.(yagna, phase),
    });
    await eventually(() => (yagna.books().openDemands.length === 0 ? true : undefined), 2_000);
    return { told, problems: yagna.books().problems, journal: [...yagna.journal.entries] };
  } finally {
    await golem[Symbol.asyncDispose]();
    await yagna.stop();
  }
}

const answered = ({ told, problems }: { told: GolemTold; problems: string[] }): unknown => [
  told.outcome.failure,
  outputOf(told),
  problems,
];
const GOOD = [undefined, 'answered\n', []];

describe.concurrent('an attempt, and its process, survive', { timeout: 30_000 }, () => {
  it('polls for offers that fail', async () => {
    const done = await attempt({
      before: (yagna) => yagna.fault('GET /market-api/v1/demands/*/events', { status: 500, times: 2 }),
    });
    expect(answered(done)).toEqual(GOOD);
  });

  it('polls for offers whose connection is reset', async () => {
    const done = await attempt({
      before: (yagna) => yagna.fault('GET /market-api/v1/demands/*/events', { drop: 'request', times: 2 }),
    });
    expect(answered(done)).toEqual(GOOD);
  });

  it.each(['without-prices', 'malformed'] as const)('an offer that is %s', async (kind) => {
    const done = await attempt({
      providers: [{ name: 'broken', region: 'US', faults: [{ at: 'offer', do: kind }] }, HEALTHY],
    });
    expect(answered(done)).toEqual(GOOD);
  });

  it.each([undefined, 'no capacity'])('a rejection with the reason %j', async (reason) => {
    const done = await attempt({
      providers: [
        {
          name: 'unwilling',
          region: 'US',
          prices: { start: '0', cpuSec: '0', envSec: '0' },
          faults: [{ at: 'counter', do: 'reject', ...(reason === undefined ? {} : { reason }) }],
        },
        HEALTHY,
      ],
    });
    expect(answered(done)).toEqual(GOOD);
  });

  it('an agreement that is rejected without a reason, and takes the next', async () => {
    const done = await attempt({
      providers: [
        {
          name: 'fickle',
          region: 'US',
          prices: { start: '0', cpuSec: '0', envSec: '0' },
          faults: [{ at: 'approval', do: 'reject' }],
        },
        HEALTHY,
      ],
    });
    expect(answered(done)).toEqual(GOOD);
  });

  it('a scan that cannot be given back', async () => {
    const done = await attempt({
      before: (yagna) => yagna.fault('DELETE /market-api/v1/scan/*', { status: 500 }),
    });
    expect(answered(done)).toEqual(GOOD);
  });

  it('an invoice that cannot be fetched at first', async () => {
    const done = await attempt({
      before: (yagna) => yagna.fault('GET /payment-api/v1/invoices/*', { status: 500, times: 1 }),
    });
    expect(answered(done)).toEqual(GOOD);
  });

  it('a daemon that is away while the program runs', async () => {
    let away = false;
    const done = await attempt({
      command: ['sh', '-c', 'sleep 1; echo answered'],
      during: (yagna, phase) => {
        if (phase !== 'running' || away) return;
        away = true;
        setTimeout(() => {
          yagna.fault('GET /activity-api/v1/*', { drop: 'request', forMs: 1_500 });
        }, 300);
      },
    });
    expect(answered(done)).toEqual(GOOD);
  });

  it('a provider that sends a file whose hash is not that of its bytes', async () => {
    const { told, problems } = await attempt({
      providers: [{ ...HEALTHY, faults: [{ at: 'download', do: 'bad-hash' }] }],
    });
    expect([told.outcome.failure?.code, problems]).toEqual(['provider_lost', []]);
  });

  it('a provider that sends anything but the result', async () => {
    const { told, problems } = await attempt({
      providers: [
        {
          ...HEALTHY,
          faults: [{ at: 'download', do: 'tamper', with: () => Buffer.from('not a tar'.repeat(200)) }],
        },
      ],
    });
    expect([told.outcome.failure?.code, problems]).toEqual(['provider_lost', []]);
  });

  it('a provider that ends the agreement in the middle, within moments', async () => {
    const began = performance.now();
    const { told, problems } = await attempt({
      providers: [{ ...HEALTHY, faults: [{ at: 'run', do: 'terminate', reason: 'Shutdown', afterMs: 100 }] }],
      command: ['sleep', '60'],
    });
    expect(told.outcome.failure).toMatchObject({
      code: 'provider_lost',
      message: expect.stringMatching(/ended/),
    });
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(problems).toEqual([]);
  });

  it('a deploy that fails, and leaves no second activity', async () => {
    const { told, problems, journal } = await attempt({
      providers: [{ ...HEALTHY, faults: [{ at: 'deploy', do: 'error' }] }],
    });
    expect([told.outcome.failure?.code, problems]).toEqual(['provider_lost', []]);
    const made = journal.filter(
      ({ method, path }) => method === 'POST' && path === '/activity-api/v1/activity',
    );
    expect(made).toHaveLength(1);
  });
});

describe.concurrent('waiting for a provider', { timeout: 30_000 }, () => {
  it('that never approves ends with its agreement cancelled', async () => {
    const { told, problems } = await attempt({
      providers: [{ ...HEALTHY, faults: [{ at: 'approval', do: 'never' }] }],
    });
    expect([told.outcome.failure?.code, problems]).toEqual(['nobody_approved', []]);
  });

  it('ends at once when the attempt is told to stop', async () => {
    const yagna = await startYagna({
      providers: [{ ...HEALTHY, faults: [{ at: 'approval', do: 'never' }] }],
    });
    const golem = golemOn(yagna, { waits: { approvalMs: 20_000 } });
    const stop = new AbortController();
    let stopped = 0;
    const running = runOnGolem(golem, ECHO, {
      signal: stop.signal,
      onPhase: (phase) => {
        if (!phase.startsWith('agreement pending')) return;
        setTimeout(() => {
          stopped = performance.now();
          stop.abort(new Error('told to stop'));
        }, 200);
      },
    });
    await expect(running).rejects.toThrow('told to stop');
    expect(performance.now() - stopped).toBeLessThan(2_000);
    expect(yagna.books().problems).toEqual([]);
    await golem[Symbol.asyncDispose]();
    await yagna.stop();
  });
});

it('polls that fail make no more than five requests a second', async () => {
  const yagna = await startYagna({ providers: [HEALTHY] });
  const golem = golemOn(yagna);
  await runOnGolem(golem, ECHO);
  const polls = () =>
    yagna.journal.entries.filter(({ path }) => /(agreement|invoice|debitNote)Events$/.test(path)).length;
  yagna.fault('*', { status: 500 });
  const before = polls();
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  expect(polls() - before).toBeLessThanOrEqual(20);
  yagna.heal();
  await golem[Symbol.asyncDispose]();
  await yagna.stop();
}, 30_000);
