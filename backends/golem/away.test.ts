import { expect, it } from 'vitest';
import { newWork } from '../../test/backends/stand.ts';
import { eventually } from '../../test/support/eventually.ts';
import { golemOn, IMAGE } from '../../test/support/golem.ts';
import { startYagna } from '../../test/yagna/yagna.ts';

it('while yagna is away looks are refused without asking it, and go on by themselves when it is back', async () => {
  await using yagna = await startYagna({ providers: [{ name: 'paris', region: 'US' }] });
  await using backend = golemOn(yagna, { waits: { shareMs: 0 } });
  const look = () =>
    backend.negotiate(
      newWork({ image: IMAGE, command: ['true'], region: 'US' }),
      AbortSignal.timeout(60_000),
    );
  expect((await look()).candidates).toHaveLength(1);

  await yagna.down();
  await eventually(async () => {
    const code = await look().then(
      () => undefined,
      (error: unknown) => (error as { code?: string }).code,
    );
    return code === 'breaker_open' ? true : undefined;
  });
  expect(backend.breaker.stats()).toMatchObject({ state: 'open', forced: false });
  const { failures } = backend.breaker.stats();
  for (let i = 0; i < 100; i++) await expect(look()).rejects.toMatchObject({ code: 'breaker_open' });
  expect(backend.breaker.stats().failures).toBe(failures);

  await yagna.up();
  const found = await eventually(() => look().catch(() => undefined));
  expect(found.candidates).toHaveLength(1);
  expect(backend.breaker.stats().state).toBe('closed');
}, 60_000);
