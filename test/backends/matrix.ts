import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { memberships, SYSTEM, UNIFIED } from '../../backends/local/cgroup/places.ts';
import { ContainerGroups, type ContainerGroup } from '../../backends/local/engine/container-group.ts';
import type { LocalSettings } from '../../backends/local/index.ts';
import { eventually } from '../support/eventually.ts';
import { running, type RunScript, type Shape } from './conformance.ts';
import { outputOf } from './stand.ts';

export interface Matrix extends Shape {
  /** Where the folders of jobs are made. */
  stateFolder: string;
  /** A backend of this isolation with other settings. */
  with(settings: Partial<LocalSettings>): Promise<RunScript>;
  /** Images that are not there or are not what they say, and the code of each. */
  badImages: [image: string, code: string][];
}

/** What a receipt of the local backend claims as a limit, tried out: `null` must be as true as a number. */
export function matrix(shape: Matrix): void {
  let run: RunScript;
  let listener: Server;
  let reached = 0;
  beforeAll(async () => {
    run = await shape.with({});
    listener = createServer((connection) => {
      reached++;
      connection.destroy();
    }).listen(0, '127.0.0.1');
    await once(listener, 'listening');
  });
  afterAll(() => void listener.close());

  test('memory, processors and processes are held by the kernel to what is claimed', async () => {
    const looked = join(shape.stateFolder, 'jobs', 'held-1', 'out', 'looked');
    let seen: Promise<(ContainerGroup | null)[]> | undefined;
    const told = await run(
      'sleep 65.25 & echo begun; until [ -e "$BEACON_OUTPUT_DIR/looked" ]; do sleep 0.1; done',
      {
        work: { resources: { memory: '96Mi', cpu: '250m' }, name: 'held-1' },
        onLine({ line }) {
          if (line !== 'begun') return;
          seen = eventually(() => groupsOf(running('65.25'))).finally(() => writeFileSync(looked, ''));
        },
      },
    );
    const held = (await seen)?.find((group) => group !== null)?.held;
    const { limits } = told.outcome;
    if (limits.memory_bytes !== null) expect(held?.memoryBytes).toBe(96 * 2 ** 20);
    if (limits.cpu_cores !== null) expect(held?.cpus).toBeCloseTo(0.25);
    if (shape.tells.has('pids')) expect(held?.pids).toBe(limits.pids);
    expect([limits.memory_bytes, limits.cpu_cores]).toEqual([
      shape.tells.has('memory') ? 96 * 2 ** 20 : null,
      shape.tells.has('cpu') ? 0.25 : null,
    ]);
  });

  test('a claimed share of the processors is all that a busy program gets', async () => {
    const told = await run(
      'read begin _ < /proc/uptime; end=$(( ${begin%.*} + 3 )); while read now _ < /proc/uptime; [ ${now%.*} -lt $end ]; do :; done; cat /proc/self/stat > /dev/null; cat /proc/$$/stat',
      { work: { resources: { cpu: '200m' } } },
    );
    const [user, system] = outputOf(told)!
      .replace(/^.*\) /, '')
      .split(' ')
      .slice(11, 13)
      .map(Number);
    const share = (user! + system!) / 100 / (told.outcome.durationMs! / 1_000);
    if (told.outcome.limits.cpu_cores !== null) expect(share).toBeLessThan(0.2 * 1.5);
    expect(share).toBeGreaterThan(0);
  });

  test('processor time is bounded for the job as a whole', async () => {
    const bounded = await shape.with({ cpuSeconds: 1 });
    const told = await bounded('trap "" XCPU; (while :; do :; done) & while :; do :; done', {
      work: { resources: { cpu: '2' } },
    });
    expect(told.outcome.limits.cpu_seconds).toBe(shape.tells.has('time') ? 1 : null);
    expect(told.outcome.failure?.code).toBe(shape.tells.has('time') ? 'cpu_limit' : 'exit_nonzero');
    const idle = await bounded('sleep 1.5; echo rested');
    expect(idle.outcome.failure).toBeUndefined();
  });

  test('a program that says it was out of time is not believed', async () => {
    const bounded = await shape.with({ cpuSeconds: 5 });
    for (const code of [152, 137])
      expect((await bounded(`exit ${code}`)).outcome.failure).toMatchObject({ code: 'exit_nonzero' });
  });

  test('open files and /tmp end where it is claimed', async () => {
    const { outcome, ...told } = await run(
      'ulimit -n; head -c 80000000 /dev/zero > "${TMPDIR:-/tmp}/fill" 2> /dev/null; wc -c < "${TMPDIR:-/tmp}/fill"',
    );
    const [openFiles, tmpBytes] = outputOf({ outcome, ...told })!
      .trim()
      .split('\n')
      .map(Number);
    if (outcome.limits.open_files !== null) expect(openFiles).toBe(outcome.limits.open_files);
    if (outcome.limits.tmp_bytes !== null) expect(tmpBytes).toBeLessThanOrEqual(outcome.limits.tmp_bytes!);
    else expect(outcome.isolation).toBe('process');
  });

  test('the network is cut off exactly where that is claimed', async () => {
    const { port } = listener.address() as { port: number };
    reached = 0;
    const { outcome } = await run(
      `nc -w 2 127.0.0.1 ${port} < /dev/null || bash -c 'exec 3<>/dev/tcp/127.0.0.1/${port}'; echo tried`,
    );
    expect(outcome.failure).toBeUndefined();
    expect(reached > 0).toBe(outcome.limits.network === null);
  });

  test.runIf(process.getuid?.() === 0)('open files whose names were taken away count as well', async () => {
    const told = await run(
      'cd "$BEACON_OUTPUT_DIR"; exec 3> ghost 4> ghoul; rm ghost ghoul; head -c 40000000 /dev/zero >&3; head -c 40000000 /dev/zero >&4; sleep 300',
    );
    expect(told.outcome.failure).toMatchObject({ code: 'file_too_large' });
  });

  test.each(shape.badImages)('%s is %s, and nothing runs', async (image, code) => {
    const { outcome } = await run('echo ran', { work: { image } });
    expect(outcome).toMatchObject({
      failure: { code },
      imageRequested: image,
      imageExecuted: null,
      isolation: null,
      startedAt: null,
      output: null,
      limits: {},
    });
  });
}

/** Undefined while there is no such process. */
function groupsOf(pids: number[]): (ContainerGroup | null)[] | undefined {
  return pids.length === 0 ? undefined : pids.map((pid) => new ContainerGroups().find(nameIn(pid), pid));
}

/** What of the process's group names the job: the attempt's name, or the container's id. */
function nameIn(pid: number): string {
  const groups = memberships(SYSTEM, pid);
  const path = groups.get('pids') ?? groups.get(UNIFIED) ?? '';
  return /[0-9a-f]{64}|[^/]+$/.exec(path)?.[0] ?? 'none';
}
