// A worker that is killed in each phase of an attempt: what it had committed is all that is left of it, and `release`
// finds the rest on the network.
import { fork, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { build, isStale } from '../../tools/build.js';
import { newWork } from '../backends/stand.ts';
import { eventually } from '../support/eventually.ts';
import { emulatorSettings, golemOn, IMAGE } from '../support/golem.ts';
import type { ProviderScript } from '../yagna/provider.ts';
import { startYagna, type Yagna } from '../yagna/yagna.ts';

const SLEEP = ['sleep', '60'];
const worker = path.join(import.meta.dirname, 'dying-worker.js');
/** None of them may end what a killed worker began. */
const WAITS = { approvalMs: 60_000, agreeMs: 60_000, deployMs: 60_000 };

beforeAll(async () => {
  if (isStale()) await build();
}, 120_000);

interface Told {
  phase: string;
  ids: Record<string, string>;
  ended: string | undefined;
}

/** Runs an attempt in a process of its own until `phase` begins, and kills it there. */
async function killedAt(yagna: Yagna, phase: string, command: string[]): Promise<Record<string, string>> {
  const child: ChildProcess = fork(worker, [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const told: Told = { phase: '', ids: {}, ended: undefined };
  child.on('message', (message) => {
    Object.assign(told, message as Partial<Told>);
    if (told.phase.startsWith(phase)) child.kill('SIGKILL');
  });
  child.send({
    settings: emulatorSettings(yagna, { waits: WAITS }),
    work: newWork({ image: IMAGE, command, region: 'US' }),
  });
  await eventually(() => {
    if (told.ended !== undefined) throw new Error(`it ended ${told.ended} before ${phase}`);
    return child.signalCode === 'SIGKILL' ? true : undefined;
  }, 40_000);
  return told.ids;
}

interface Case {
  phase: string;
  provider?: Partial<ProviderScript>;
  command?: string[];
}

const CASES: Case[] = [
  { phase: 'allocated' },
  { phase: 'demand out', provider: { faults: [{ at: 'counter', do: 'silent' }] } },
  { phase: 'agreement pending', provider: { faults: [{ at: 'approval', do: 'never' }] } },
  { phase: 'approved' },
  { phase: 'deployed' },
  { phase: 'running' },
  { phase: 'collecting outputs', command: ['sh', '-c', 'echo answered'] },
];

describe('a worker that is killed', { timeout: 60_000 }, () => {
  it.concurrent.each(CASES)('when $phase leaves nothing that costs', async ({ phase, provider, command }) => {
    const yagna = await startYagna({ providers: [{ name: 'boston', region: 'US', ...provider }] });
    const golem = golemOn(yagna);
    try {
      const ids = await killedAt(yagna, phase, command ?? SLEEP);
      expect(ids.token).toMatch(/^[0-9a-f]{32}$/);
      await golem.release([{ name: 'killed-1', ids }]);
      // Again, as Temporal may: everything is gone already.
      await golem.release([{ name: 'killed-1', ids }]);
      const { openAgreements, openActivities, openDemands, openAllocations, agreements } = yagna.books();
      expect({ openAgreements, openActivities, openDemands }).toEqual({
        openAgreements: [],
        openActivities: [],
        openDemands: [],
      });
      // An allocation stays only for an invoice that is still to be answered.
      expect(openAllocations.length).toBe(agreements.some(({ state }) => state === 'Terminated') ? 1 : 0);
    } finally {
      await golem[Symbol.asyncDispose]();
      await yagna.stop();
    }
  });
});
