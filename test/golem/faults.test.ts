// Each way in which a provider, a market or a daemon goes wrong, and how the attempt ends. The books are looked at after each.
import { describe, expect, it } from 'vitest';
import type { Needs } from '../../backends/backend.ts';
import { outputOf, type AttemptOptions } from '../backends/stand.ts';
import { golemOn, runOnGolem } from '../support/golem.ts';
import type { ProviderFault } from '../yagna/provider-faults.ts';
import type { ProviderScript } from '../yagna/provider.ts';
import { startYagna, type YagnaOptions } from '../yagna/yagna.ts';

interface Case {
  fault?: ProviderFault;
  provider?: Partial<ProviderScript>;
  /** A second provider, dearer than the first and healthy. */
  other?: boolean;
  yagna?: Partial<YagnaOptions>;
  command?: string[];
  asked?: Partial<Needs['asked']>;
  options?: AttemptOptions;
  image?: string;
  caps?: { start: number; cpuHour: number; envHour: number };
  refuses?: string;
}

async function attempt(given: Case) {
  const faulty: ProviderScript = {
    name: 'faulty',
    region: 'US',
    faults: given.fault === undefined ? [] : [given.fault],
    prices: { start: '0.01' },
    ...given.provider,
  };
  const other: ProviderScript = { name: 'other', region: 'US', prices: { start: '0.2' } };
  const yagna = await startYagna({
    providers: given.other === true ? [faulty, other] : [faulty],
    ...given.yagna,
  });
  const golem = golemOn(yagna, given.caps === undefined ? {} : { caps: given.caps });
  const reserved: string[] = [];
  const settled: (string | null)[] = [];
  try {
    const asked = { regionPolicy: null, maxCost: null, providers: [], ...given.asked };
    const told = await runOnGolem(golem, given.command ?? ['echo', 'answered'], {
      ...given.options,
      onSettle: (accepted) => void settled.push(accepted),
      onReserve: (cap) => {
        reserved.push(cap);
        return given.refuses === undefined ? { ok: true } : { ok: false, left: given.refuses };
      },
      work: { asked, ...(given.image === undefined ? {} : { image: given.image }) },
    });
    const books = yagna.books();
    return {
      code: told.outcome.failure?.code ?? 'completed',
      output: outputOf(told),
      provider: yagna.providers.find(({ id }) => id === told.outcome.placement.provider)?.name ?? null,
      problems: books.problems,
      agreements: books.agreements.length,
      accepted: Number(books.accepted),
      settled: settled.at(-1) ?? null,
      reserved: reserved.length,
    };
  } finally {
    await golem[Symbol.asyncDispose]();
    await yagna.stop();
  }
}

const DEAR = { start: 0.001, cpuHour: 0.001, envHour: 0.001 };

describe.concurrent('before any money', { timeout: 30_000 }, () => {
  it.each<[string, Case, string]>([
    ['a market without offers', { fault: { at: 'offer', do: 'silent' } }, 'no_offers'],
    ['offers above the caps', { caps: DEAR }, 'offers_too_expensive'],
    [
      'offers that the job does not want',
      {
        asked: {
          providers: [
            { region: 'US', minScore: undefined, maxPrice: undefined, whitelist: [], blacklist: ['faulty'] },
          ],
        },
      },
      'offers_filtered_out',
    ],
    ['an image that nobody knows', { image: 'builtin:unknown' }, 'image_unavailable'],
    ['no command', { command: [] }, 'no_command'],
    ['a budget that does not hold the worst case', { refuses: '0.1' }, 'max_cost_exceeded'],
    ['an empty wallet', { yagna: { funds: '0.001' } }, 'funds_insufficient'],
  ])('%s ends it as what it is', async (_, given, code) => {
    const done = await attempt(given);
    expect(done).toMatchObject({ code, provider: null, problems: [], agreements: 0, accepted: 0 });
  });
});

describe.concurrent('a provider that', { timeout: 60_000 }, () => {
  it.each<[string, ProviderFault]>([
    ['is silent after the counter-proposal', { at: 'counter', do: 'silent' }],
    ['fails at the counter-proposal', { at: 'counter', do: 'error' }],
    ['refuses with a reason', { at: 'counter', do: 'reject', reason: 'no capacity' }],
    ['rejects the agreement', { at: 'approval', do: 'reject', reason: 'taken' }],
    ['lets the agreement expire', { at: 'approval', do: 'expire' }],
    ['never approves', { at: 'approval', do: 'never' }],
  ])('%s is passed over for another', async (_, fault) => {
    expect(await attempt({ fault, other: true })).toMatchObject({
      code: 'completed',
      provider: 'other',
      problems: [],
    });
  });

  it('approves slowly is waited for', async () => {
    const fault: ProviderFault = { at: 'approval', do: 'slow', ms: 1_500 };
    expect(await attempt({ fault })).toMatchObject({ code: 'completed', provider: 'faulty', problems: [] });
  });

  it.each<[string, ProviderFault]>([
    ['cannot make an activity', { at: 'create-activity', do: 'error' }],
    ['cannot fetch the image', { at: 'deploy', do: 'error' }],
    ['dies after its approval', { at: 'approved', do: 'die' }],
    ['dies in the middle', { at: 'run', do: 'die', afterMs: 100 }],
    ['loses what is sent to it', { at: 'transfer', do: 'error' }],
  ])('%s is lost, and costs nothing more', async (_, fault) => {
    const done = await attempt({ fault, command: ['sh', '-c', 'sleep 1; echo answered'] });
    expect(done).toMatchObject({ code: 'provider_lost', provider: 'faulty' });
    expect(done.problems.filter((problem) => !problem.startsWith('open allocation'))).toEqual([]);
  });

  it('never ends the program is ended by the time of the attempt', async () => {
    const fault: ProviderFault = { at: 'run', do: 'hang' };
    const done = await attempt({ fault, options: { budgetMs: 1_000 } });
    expect(done).toMatchObject({ code: 'attempt_timeout', problems: [] });
  });

  it('asks for more than was agreed is not paid', async () => {
    const done = await attempt({ fault: { at: 'invoice', do: 'overprice', factor: '1000' } });
    expect(done).toMatchObject({ code: 'completed', problems: [] });
    // What it had asked for by debit notes until then was right, and stays paid.
    expect(done.accepted).toBeLessThan(0.1);
    expect(Number(done.settled)).toBe(done.accepted);
  });

  it('sends its invoice twice is paid once', async () => {
    const done = await attempt({ fault: { at: 'invoice', do: 'double' } });
    expect(done).toMatchObject({ code: 'completed', problems: [] });
    expect(Number(done.settled)).toBe(done.accepted);
  });

  it('sends no invoice leaves a cost that is not known, and its allocation to the sweeper', async () => {
    const done = await attempt({ fault: { at: 'invoice', do: 'none' } });
    expect(done).toMatchObject({ code: 'completed', settled: null });
    expect(done.problems).toEqual([expect.stringMatching(/^open allocation/)]);
  });

  it('lives in another time does not keep a job from its end', async () => {
    const done = await attempt({ provider: { clockSkewMs: -20_000 } });
    expect(done).toMatchObject({ code: 'completed', problems: [] });
  });
});

describe.concurrent('a program', { timeout: 30_000 }, () => {
  it('that fails says so with what it wrote', async () => {
    const done = await attempt({ command: ['sh', '-c', 'echo said; exit 3'] });
    expect(done).toMatchObject({ code: 'exit_nonzero', output: 'said\n', problems: [] });
  });

  it('in an image without timeout does not run', async () => {
    const done = await attempt({
      yagna: { images: [{ tag: 'beacon/worker:latest', without: ['timeout'] }] },
    });
    expect(done).toMatchObject({ code: 'image_unsuitable', problems: [] });
  });

  it('pays what its provider asked for', async () => {
    const done = await attempt({});
    expect(done).toMatchObject({ code: 'completed', reserved: 1, problems: [] });
    expect(done.accepted).toBeGreaterThan(0.01);
    expect(Number(done.settled)).toBe(done.accepted);
  });
});
