// Yagna is down for a whole minute, with a real worker and a real API in processes of their own. It takes that minute,
// which is the point; all that has to hold while yagna is away, and afterwards, is looked at in this one.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { build, isStale } from '../../tools/build.js';
import type { Core } from '../support/core.ts';
import { eventually } from '../support/eventually.ts';
import { IMAGE } from '../support/golem.ts';
import { expectWhole } from '../support/whole-job.ts';
import type { Yagna } from '../yagna/yagna.ts';
import { golemEnvironment, jobStand, ONLY_GOLEM, type JobStand } from './stand.ts';

const AWAY_MS = 60_000;
const REQUESTS_PER_SECOND = 5;
const main = path.join(import.meta.dirname, '../../dist/cli/main.js');
const EXEC = '/activity-api/v1/activity/{activity}/exec';

let stand: JobStand;
let yagna: Yagna;
let core: Core;
let folder: string;
let api: string;
const processes: ChildProcess[] = [];

/** A role as users run it; where it listens, once it is ready. */
function role(words: string[], env: Record<string, string>): Promise<string | undefined> {
  const child = spawn(process.execPath, [main, ...words], {
    env: { PATH: process.env.PATH, ...core.env, BEACON_STATE: folder, LOG_LEVEL: 'error', ...env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  processes.push(child);
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`${words[0]} ended with ${code}`)));
    child.on('message', (message) => {
      const { ready, url } = message as { ready?: boolean; url?: string };
      if (ready === true) resolve(url);
    });
  });
}

beforeAll(async () => {
  if (isStale()) await build();
  folder = await mkdtemp(path.join(os.tmpdir(), 'beacon-away-'));
  stand = await jobStand([
    { name: 'runs', region: 'US' },
    // Its approval is still to come when yagna goes.
    { name: 'thinks', region: 'EU', faults: [{ at: 'approval', do: 'slow', ms: 10_000, times: 1 }] },
    { name: 'waits', region: 'APAC' },
  ]);
  ({ yagna, core } = stand);
  const [url] = await Promise.all([
    role(['serve'], { PORT_STRATEGY: 'ephemeral' }),
    role(['worker', '--queues', 'backend-golem'], golemEnvironment(yagna)),
  ]);
  api = url!;
}, 240_000);
afterAll(async () => {
  for (const child of processes) child.kill('SIGKILL');
  await stand[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

interface Health {
  services: { name: string; circuit_breaker_stats?: { state: string } }[];
}

async function breaker(): Promise<string | undefined> {
  const health = (await (await fetch(`${api}/health/ready`)).json()) as Health;
  return health.services.find(({ name }) => name === 'yagna')?.circuit_breaker_stats?.state;
}

/** Listens where yagna was, takes every connection, and answers none. */
async function countAt(port: number): Promise<{ perSecond: string[][] } & AsyncDisposable> {
  const perSecond: string[][] = [];
  const began = performance.now();
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (data) => {
      const second = Math.floor((performance.now() - began) / 1_000);
      (perSecond[second] ??= []).push(data.toString('latin1').split(' HTTP')[0] ?? '');
      socket.resetAndDestroy();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    perSecond,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

async function attemptsOf(job: string): Promise<string[]> {
  const { rows } = await core.db.pool.query<{ state: string }>(
    `select a.state from attempts a join executions e on e.id = a.execution_id where e.job_id = $1 order by a.attempt`,
    [job],
  );
  return rows.map(({ state }) => state);
}

it('yagna is down for a minute: it is hardly asked, health says so, jobs wait, what runs goes on, and all of them end', async () => {
  const running = await core.start(
    { image: IMAGE, command: ['sh', '-c', 'sleep 20; echo ran'], regions: ['US'] },
    ONLY_GOLEM,
  );
  const thinking = await core.start(
    { image: IMAGE, command: ['echo', 'thought'], regions: ['EU'] },
    ONLY_GOLEM,
  );
  // Its image was started, and its program runs.
  await eventually(() => (yagna.journal.count('POST', EXEC) === 2 ? true : undefined));
  await eventually(() => (yagna.faultsLeft().length === 0 ? true : undefined));
  await eventually(async () => ((await breaker()) === 'closed' ? true : undefined));

  await yagna.down();
  const states: (string | undefined)[] = [];
  const asked = await countAt(Number(new URL(yagna.url).port));
  const until = performance.now() + AWAY_MS;
  const waiting = await Promise.all(
    Array.from({ length: 10 }, () =>
      core.start({ image: IMAGE, command: ['echo', 'waited'], regions: ['APAC'] }, ONLY_GOLEM),
    ),
  );
  await eventually(async () => ((await breaker()) === 'open' ? true : undefined));
  await eventually(async () => {
    states.push(await breaker());
    return performance.now() > until ? true : undefined;
  }, AWAY_MS + 10_000);
  for (const job of waiting) expect(await attemptsOf(job)).toEqual([]);
  await asked[Symbol.asyncDispose]();
  for (const requests of Object.values(asked.perSecond))
    expect(requests.length, requests.join('\n')).toBeLessThanOrEqual(REQUESTS_PER_SECOND);
  // Half open for the moment in which somebody tries.
  expect(new Set(states)).toSatisfy((seen: Set<string>) =>
    [...seen].every((one) => one === 'open' || one === 'half_open'),
  );
  expect(states.filter((one) => one === 'open').length).toBeGreaterThan(states.length / 2);

  await yagna.up();
  for (const job of [running, thinking, ...waiting]) {
    expect(await core.ended(job, 60_000)).toBe('completed');
    await expectWhole(core, job);
  }
  expect(await breaker()).toBe('closed');
  // The one that ran went on; the one without an approval was handed back, and asked again.
  expect(await attemptsOf(running)).toEqual(['succeeded']);
  expect(await attemptsOf(thinking)).toEqual(['lost', 'succeeded']);
  await eventually(() => {
    const { openAgreements, openActivities, openDemands } = yagna.books();
    return openAgreements.length + openActivities.length + openDemands.length === 0 ? true : undefined;
  });
}, 240_000);
