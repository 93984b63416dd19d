import { describe, expect, it, vi } from 'vitest';
import { linesOf, outputOf } from '../backends/stand.ts';
import type { TerminationReason } from '../yagna/provider-faults.ts';
import { bad, failedWith, faultStand, good, SLOW } from './fault-stand.ts';

// The SDK's fixed pauses overlap.
vi.setConfig({ maxConcurrency: 20, testTimeout: 60_000 });

const BOTH = '0.101';

describe.concurrent('what providers do wrong with an agreement', () => {
  it.each([
    ['refuses the activity once (500)', { at: 'create-activity', do: 'error', times: 1 }],
    ['is late with the activity once (408)', { at: 'create-activity', do: 'timeout', times: 1 }],
    ['loses results twice (500)', { at: 'results', do: 'error', times: 2 }],
  ] as const)('one that %s still does the job', async (_how, fault) => {
    await using stand = await faultStand([bad(fault)]);
    await stand.completesOn('bad');
    await stand.closed('0.001');
  });

  it('one that never makes an activity is left, and the job is done elsewhere', async () => {
    await using stand = await faultStand([bad({ at: 'create-activity', do: 'error' }), good()]);
    expect(failedWith(await stand.run())).toMatch(/^provider_lost: not started: /);
    await stand.completesOn('good');
    // Nobody sends a bill for nothing, so its money waits for the sweeper.
    await stand.closed('0.1', [/^open allocation /]);
  });

  it.each(['error', 'timeout'] as const)(
    'one whose state cannot be asked for (%s) is left, and the job is done elsewhere',
    async (how) => {
      await using stand = await faultStand([bad({ at: 'state', do: how }), good()]);
      expect(failedWith(await stand.run())).toMatch(/^provider_lost: not started: /);
      await stand.completesOn('good');
      await stand.closed(BOTH);
    },
  );

  it('one that cannot deploy is left, is not asked again at once, and the job is done elsewhere', async () => {
    await using stand = await faultStand([
      bad({ at: 'deploy', do: 'error', message: 'Transfer error: HTTP error' }),
      good(),
    ]);
    const told = await stand.run();
    expect(failedWith(told)).toMatch(/^provider_lost: /);
    expect(told.outcome.placement.provider).toBe(stand.id('bad'));
    await stand.completesOn('good');
    await stand.closed(BOTH);
  });

  it('one that hangs while it deploys is given up in its time', async () => {
    await using stand = await faultStand([bad({ at: 'deploy', do: 'hang' })], { waits: { deployMs: 5_000 } });
    expect(failedWith(await stand.run())).toMatch(/^provider_lost: the image was not started in 5000 ms/);
    await stand.closed('0.001');
  });

  it('a program that fails is the job’s failure, with its code and what it said, and is paid', async () => {
    await using stand = await faultStand([good()]);
    const told = await stand.run(['sh', '-c', 'echo why >&2; exit 3']);
    expect(failedWith(told)).toBe('exit_nonzero: the program exited with code 3');
    expect(told.outcome.exitCode).toBe(3);
    expect(linesOf(told, 'stderr')).toEqual(['why']);
    await stand.closed('0.1');
  });

  it('an image without what the wrapper needs is unsuitable, whoever runs it', async () => {
    const images = [{ tag: 'beacon/worker:latest', without: ['timeout'] }];
    await using stand = await faultStand([good()], {}, { images });
    expect(failedWith(await stand.run())).toMatch(/^image_unsuitable: /);
    await stand.closed('0.1');
  });

  it('a provider that says that the wrapper failed, when it did not, is not believed about the program', async () => {
    await using stand = await faultStand([bad({ at: 'run', do: 'fail', exit: 5 }), good()]);
    expect(failedWith(await stand.run())).toMatch(/^provider_lost: run failed: .*code 5/);
    await stand.completesOn('good');
    await stand.closed(BOTH);
  });

  it.each<TerminationReason>([
    'NoActivity',
    'DebitNotesDeadline',
    'DebitNoteNotPaid',
    'RequestorUnreachable',
    'Expired',
    'Shutdown',
    'InitializationError',
  ])('one that ends the agreement in the middle (%s) is left at once', async (reason) => {
    await using stand = await faultStand([bad({ at: 'run', do: 'terminate', reason, afterMs: 100 }), good()]);
    expect(failedWith(await stand.run(SLOW))).toMatch(/^provider_lost: the provider ended the agreement: /);
    await stand.closed('0.001');
  });

  it('one whose results never come is given up when the attempt’s time is over', async () => {
    await using stand = await faultStand([bad({ at: 'run', do: 'hang' }), good()], {
      waits: { collectMs: 500 },
    });
    const told = await stand.run(SLOW, { budgetMs: 1_000 });
    expect(failedWith(told)).toMatch(/^attempt_timeout: /);
    await stand.closed('0.001');
  });

  // The SDK asks a dead provider four times, 1, 2, 4 and 8 s apart.
  it('one that dies in the middle is left; what it is owed is unknown, its money waits for the sweeper', async () => {
    await using stand = await faultStand([bad({ at: 'run', do: 'die', afterMs: 50 }), good()], {
      waits: { invoiceMs: 300 },
    });
    expect(failedWith(await stand.run(SLOW))).toMatch(/^provider_lost: /);
    await stand.completesOn('good');
    await stand.closed('0.1', [/^open allocation /]);
  });

  it('files that were tampered with on the way are no result', async () => {
    const torn = { at: 'download', do: 'tamper', with: () => Buffer.from('no tar at all') } as const;
    await using stand = await faultStand([bad(torn), good()]);
    const told = await stand.run();
    expect(failedWith(told)).toMatch(/^provider_lost: /);
    expect(told.outcome.output).toBeNull();
    await stand.completesOn('good');
    await stand.closed(BOTH);
  });

  it('a download whose hash does not hold is no result', async () => {
    await using stand = await faultStand([bad({ at: 'download', do: 'bad-hash' }), good()]);
    expect(failedWith(await stand.run())).toMatch(/^provider_lost: /);
    await stand.completesOn('good');
    await stand.closed(BOTH);
  });

  it('one that loses a transfer is left, and the job is done elsewhere', async () => {
    await using stand = await faultStand([bad({ at: 'transfer', do: 'error' }), good()]);
    expect(failedWith(await stand.run())).toMatch(/^provider_lost: input failed: /);
    expect(outputOf(await stand.completesOn('good'))).toBe('{"question":"why?"}');
    await stand.closed(BOTH);
  });

  it('one whose destroying fails does not hold the job up', async () => {
    await using stand = await faultStand([bad({ at: 'destroy', do: 'error' })]);
    await stand.completesOn('bad');
    await stand.closed('0.001');
  });

  it('one whose destroying hangs does not hold the job up for long', async () => {
    await using stand = await faultStand([bad({ at: 'destroy', do: 'hang' })], {
      waits: { releaseCallMs: 1_500 },
    });
    await stand.completesOn('bad');
    await stand.closed('0.001');
  });
});
