import { expect, test } from 'vitest';
import { type Running, supervise } from './supervise.ts';
import { waitUntil } from './wait-until.ts';

interface Fake extends Running {
  fall(reason: string): void;
}

function fake(): Fake {
  let end: (reason: string) => void = () => undefined;
  const ended = new Promise<string>((resolve) => {
    end = resolve;
  });
  return {
    identity: { pid: 1, started: 'x' },
    ended,
    fall: end,
    stop: async () => end('stopped'),
  };
}

const quiet = { onChange: () => undefined };
const until = async (check: () => boolean) => expect(await waitUntil(check, { timeoutMs: 5_000 })).toBe(true);

test('names the part and the reason each time it falls, and starts it until it stands', async () => {
  const said: string[] = [];
  let starts = 0;
  const part = await supervise({
    ...quiet,
    name: 'relay',
    progress: { say: (line) => said.push(line), update: () => undefined },
    async start() {
      starts++;
      if (starts === 2) throw new Error('no port');
      return fake();
    },
  });
  part.current()!.fall('SIGKILL');
  await until(() => part.restarts() === 2 && part.current() !== null);
  expect(said).toEqual([
    'relay ended (SIGKILL); starting it again in 0.25 s',
    'relay ended (no port); starting it again in 0.5 s',
    'relay is back',
  ]);
  await part.stop();
  expect(part.current()).toBeNull();
  expect(starts).toBe(3);
});

test('a stop during the pause before a restart ends it without another start', async () => {
  let starts = 0;
  const part = await supervise({
    ...quiet,
    name: 'worker',
    progress: { say: () => undefined, update: () => undefined },
    async start() {
      starts++;
      return fake();
    },
  });
  part.current()!.fall('exit code 1');
  await until(() => part.current() === null);
  await part.stop();
  expect(starts).toBe(1);
});

test('a part that is renewed comes back by itself', async () => {
  const part = await supervise({
    ...quiet,
    name: 'api',
    progress: { say: () => undefined, update: () => undefined },
    start: async () => fake(),
  });
  const before = part.current();
  await part.renew();
  await until(() => part.current() !== null && part.current() !== before);
  await part.stop();
});
