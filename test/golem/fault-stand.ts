import { Big } from 'big.js';
import { expect } from 'vitest';
import type { GolemBackend } from '../../backends/golem/index.ts';
import type { AttemptOptions } from '../backends/stand.ts';
import { eventually } from '../support/eventually.ts';
import { golemOn, runOnGolem, type GolemTold } from '../support/golem.ts';
import type { ProviderFault } from '../yagna/provider-faults.ts';
import type { ProviderScript } from '../yagna/provider.ts';
import { startYagna, type Yagna, type YagnaOptions } from '../yagna/yagna.ts';

/** Answers with its input; what it costs is known. */
export const ANSWER = ['sh', '-c', 'cat "$BEACON_INPUT"'];
/** Longer than any test: whoever waits for it to end is late. */
export const SLOW = ['sh', '-c', 'sleep 300; cat "$BEACON_INPUT"'];

/** Asked first, for it costs less. */
export const bad = (...faults: ProviderFault[]): ProviderScript => ({
  name: 'bad',
  region: 'US',
  prices: { start: '0.001', cpuSec: '0', envSec: '0' },
  faults,
});
export const good = (more: ProviderScript = {}): ProviderScript => ({
  name: 'good',
  region: 'US',
  prices: { start: '0.1', cpuSec: '0', envSec: '0' },
  ...more,
});

export interface FaultStand extends AsyncDisposable {
  yagna: Yagna;
  golem: GolemBackend;
  id(name: string): string;
  run(command?: string[], options?: AttemptOptions): Promise<GolemTold>;
  /** Runs it again as the workflow would, and expects that it ends well on this provider. */
  completesOn(name: string, command?: string[]): Promise<GolemTold>;
  /** Nothing is open, nothing was paid twice, this much was accepted in all, and attempts said so. `left` is the sweeper's. */
  closed(accepted: string, left?: RegExp[]): Promise<void>;
}

type Given = NonNullable<Parameters<typeof golemOn>[1]>;

/** Many stands share the machine; whoever answers ends these waits at once. */
const UNHURRIED = {
  strictMs: 15_000,
  relaxedMs: 5_000,
  agreeMs: 30_000,
  deployMs: 30_000,
  invoiceMs: 15_000,
};

export async function faultStand(
  providers: ProviderScript[],
  given: Given = {},
  daemon: Omit<YagnaOptions, 'providers'> = {},
): Promise<FaultStand> {
  const yagna = await startYagna({ ...daemon, providers });
  const golem = golemOn(yagna, { ...given, waits: { ...UNHURRIED, ...given.waits } });
  const id = (name: string) => yagna.providers.find((one) => one.name === name)!.id;
  const settled: string[] = [];
  /** What attempts say that they cost, beside what yagna says. */
  const watched: GolemBackend = {
    ...golem,
    execute: (work, step) =>
      golem.execute(work, {
        ...step,
        async settle(accepted) {
          if (accepted !== null) settled.push(accepted);
          await step.settle(accepted);
        },
      }),
  };
  const run = (command = ANSWER, options: AttemptOptions = {}) => runOnGolem(watched, command, options);
  return {
    yagna,
    golem,
    id,
    run,
    async completesOn(name, command) {
      const told = await run(command);
      expect(told.outcome.failure).toBeUndefined();
      expect(told.outcome.placement.provider).toBe(id(name));
      return told;
    },
    async closed(accepted, left = []) {
      await eventually(() => {
        const { problems } = yagna.books();
        const unexpected = problems.filter((problem) => !left.some((pattern) => pattern.test(problem)));
        if (unexpected.length > 0) throw new Error(unexpected.join('\n'));
        return true;
      }, 10_000);
      const books = yagna.books();
      expect([books.accepted, books.spent]).toEqual([accepted, accepted]);
      // What a provider without a final bill was paid by debit notes is not known to its attempt.
      if (left.length === 0) expect(totalOf(settled)).toBe(accepted);
      expect(books.problems).toHaveLength(left.length);
    },
    async [Symbol.asyncDispose]() {
      await golem[Symbol.asyncDispose]();
      await yagna.stop();
    },
  };
}

export const failedWith = (told: GolemTold) => {
  const { failure } = told.outcome;
  return failure === undefined ? 'none' : `${failure.code}: ${failure.message}`;
};

const totalOf = (amounts: string[]) => amounts.reduce((total, one) => total.plus(one), new Big(0)).toFixed();
