import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fakeCgroupsV1, fakeCgroupsV2, type FakeCgroups } from '../../../test/support/fake-cgroups.ts';
import type { ControlGroups } from './group.ts';
import { controlGroups, probeControlGroups } from './probe.ts';

const ALL = ['cpuset', 'cpu', 'io', 'memory', 'pids'];
const LIMITS = { memoryBytes: 64 * 2 ** 20, pids: 7, cpus: 0.5, cpuSeconds: 3 };

let folder: string;
let made = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'beacon-cgroups-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
const place = (): string => join(folder, String(++made));
const found = (fake: FakeCgroups): ControlGroups | null =>
  controlGroups('beacon-x', fake.places, fake.kernel);

describe('version 2', () => {
  test('a job gets a group of its own beneath the root, with its limits written', () => {
    const fake = fakeCgroupsV2(place(), ALL);
    const groups = found(fake)!;
    expect(groups.version).toBe(2);
    expect([...groups.enforces].sort()).toEqual(['cpu', 'memory', 'pids', 'time']);
    const job = join(fake.mount(), 'beacon-x', 'job-1');
    const group = groups.create('job-1', LIMITS);
    expect(fake.read(join(job, 'memory.max'))).toBe(String(LIMITS.memoryBytes));
    expect(fake.read(join(job, 'memory.swap.max'))).toBe('0');
    expect(fake.read(join(job, 'pids.max'))).toBe('7');
    expect(fake.read(join(job, 'cpu.max'))).toBe('50000 100000');
    expect(group.joinFiles).toEqual([join(job, 'cgroup.procs')]);
    expect(groups.names()).toEqual(['job-1']);
  });

  test('what the kernel counted is told', () => {
    const fake = fakeCgroupsV2(place(), ALL);
    const groups = found(fake)!;
    const group = groups.create('job-1', LIMITS);
    expect(group.interventions()).toEqual({ memory: 0, pids: 0, cpu: 0 });
    const job = join(fake.mount(), 'beacon-x', 'job-1');
    fake.put(join(job, 'memory.events'), 'low 0\nhigh 4\nmax 5\noom 2\noom_kill 1\noom_group_kill 9\n');
    fake.put(join(job, 'pids.events'), 'max 12\n');
    fake.put(join(job, 'cpu.stat'), 'usage_usec 1234567\nuser_usec 1\nnr_throttled 3\n');
    expect(group.interventions()).toEqual({ memory: 1, pids: 12, cpu: 3 });
    expect(group.cpuMs()).toBeCloseTo(1_234.567);
    expect(groups.open('job-1').interventions().pids).toBe(12);
  });

  test('controllers that are not handed down are neither claimed nor touched', () => {
    const fake = fakeCgroupsV2(place(), ['pids']);
    const groups = found(fake)!;
    expect([...groups.enforces].sort()).toEqual(['pids', 'time']);
    groups.create('job-1', LIMITS);
    expect(existsSync(join(fake.mount(), 'beacon-x', 'job-1', 'memory.max'))).toBe(false);
  });

  test('a group with processes of its own cannot be divided, the delegated one above it can', () => {
    const fake = fakeCgroupsV2(place(), ALL, '/system.slice/beacon.service/main');
    const service = join(fake.mount(), 'system.slice', 'beacon.service');
    // As a service manager hands it over; the root is not ours.
    fake.put(join(service, 'cgroup.controllers'), 'memory pids');
    fake.put(join(service, 'main', 'cgroup.controllers'), 'memory pids');
    fake.lock(join(fake.mount(), 'beacon-x'));
    fake.lock(join(fake.mount(), 'cgroup.subtree_control'));
    const groups = found(fake)!;
    expect([...groups.enforces].sort()).toEqual(['memory', 'pids', 'time']);
    expect(groups.create('job-1', LIMITS).joinFiles).toEqual([
      join(service, 'beacon-x', 'job-1', 'cgroup.procs'),
    ]);
    expect(existsSync(join(service, 'main', 'beacon-x'))).toBe(false);
  });

  test('a tree that may not be changed gives nothing, and nothing is left in it', () => {
    const fake = fakeCgroupsV2(place(), ALL, '/docker/abc');
    fake.lock(fake.mount());
    expect(found(fake)).toBeNull();
    expect(existsSync(join(fake.mount(), 'beacon-x'))).toBe(false);
    const useless = fakeCgroupsV2(place(), []);
    expect(found(useless)).toBeNull();
    expect(existsSync(join(useless.mount(), 'beacon-x'))).toBe(false);
  });

  test('a path that leads out of the namespace, or to nowhere, makes no folders', () => {
    for (const own of ['/../../host/path', '/docker/not-mounted-here']) {
      const fake = fakeCgroupsV2(place(), ALL);
      fake.put(join(fake.places.processes, 'self', 'cgroup'), `0::${own}\n`);
      const groups = found(fake)!;
      expect(groups.create('job-1', LIMITS).joinFiles).toEqual([
        join(fake.mount(), 'beacon-x', 'job-1', 'cgroup.procs'),
      ]);
      expect(existsSync(join(fake.mount(), 'docker'))).toBe(false);
    }
  });

  test('a limit that cannot be set leaves no group behind', () => {
    const fake = fakeCgroupsV2(place(), ALL);
    const groups = found(fake)!;
    fake.lock(join(fake.mount(), 'beacon-x', 'job-1', 'pids.max'));
    expect(() => groups.create('job-1', LIMITS)).toThrow('cannot set pids.max');
    expect(groups.names()).toEqual([]);
  });

  test('kill asks the kernel where it can, else it ends the processes one by one; remove waits for their end', async () => {
    const fake = fakeCgroupsV2(place(), ALL);
    const groups = found(fake)!;
    const group = groups.create('job-1', LIMITS);
    const job = join(fake.mount(), 'beacon-x', 'job-1');
    const child = spawn('sleep', ['300'], { stdio: 'ignore' });
    const ended = once(child, 'exit').then(() => fake.put(join(job, 'cgroup.procs'), ''));
    fake.put(join(job, 'cgroup.procs'), `${child.pid}\n`);
    expect(group.processes()).toEqual([child.pid]);
    fake.put(join(job, 'cgroup.kill'), '');
    group.kill();
    expect(fake.read(join(job, 'cgroup.kill'))).toBe('1');
    expect(child.exitCode).toBeNull();
    await rm(join(job, 'cgroup.kill'));
    const removed = group.remove();
    group.kill();
    await Promise.all([ended, removed]);
    expect(child.signalCode).toBe('SIGKILL');
    expect(existsSync(job)).toBe(false);
  });
});

describe('version 1', () => {
  test('limits go to the hierarchy of their controller, counts come from there', async () => {
    const fake = fakeCgroupsV1(place(), ['memory', 'pids', 'cpu,cpuacct', 'freezer'], '/mine');
    const groups = found(fake)!;
    expect(groups.version).toBe(1);
    const job = (controller: string): string => join(fake.mount(controller), 'mine', 'beacon-x', 'job-1');
    const group = groups.create('job-1', LIMITS);
    expect(fake.read(join(job('memory'), 'memory.limit_in_bytes'))).toBe(String(LIMITS.memoryBytes));
    expect(fake.read(join(job('pids'), 'pids.max'))).toBe('7');
    expect(fake.read(join(job('cpu,cpuacct'), 'cpu.cfs_quota_us'))).toBe('50000');
    // One folder for both controllers, so one file to join.
    expect(group.joinFiles).toHaveLength(3);
    fake.put(join(job('memory'), 'memory.oom_control'), 'oom_kill_disable 0\nunder_oom 0\noom_kill 2\n');
    fake.put(join(job('cpu,cpuacct'), 'cpuacct.usage'), '2500000000\n');
    expect(group.interventions()).toMatchObject({ memory: 2, pids: 0 });
    expect(group.cpuMs()).toBe(2_500);
    await group.remove();
    expect(existsSync(join(fake.mount('memory'), 'mine', 'beacon-x'))).toBe(false);
  });

  test('a hierarchy of its own for processor time is joined only where time is bounded', () => {
    const fake = fakeCgroupsV1(place(), ['memory', 'cpu', 'cpuacct']);
    const groups = found(fake)!;
    expect(groups.create('job-1', { ...LIMITS, cpuSeconds: null }).joinFiles).toHaveLength(2);
    expect(groups.create('job-2', LIMITS).joinFiles).toHaveLength(3);
  });

  test('a controller that may not be divided is left out', () => {
    const fake = fakeCgroupsV1(place(), ['memory', 'pids', 'cpu']);
    fake.lock(fake.mount('memory'));
    expect([...found(fake)!.enforces].sort()).toEqual(['cpu', 'pids']);
  });
});

describe('the probe', () => {
  test('claims only what made the kernel step in, and sets only that', async () => {
    const fake = fakeCgroupsV2(place(), ALL);
    const groups = found(fake)!;
    // A kernel that refuses processes, counts no lack of memory, and takes nothing about processors.
    const seen: string[] = [];
    const probed = await probeControlGroups({
      ...groups,
      create(name, limits) {
        seen.push(JSON.stringify(limits));
        if (limits.cpus !== undefined || limits.cpuSeconds !== undefined) throw new Error('cannot be set');
        const group = groups.create(name, limits);
        if (limits.pids !== undefined)
          fake.put(join(fake.mount(), 'beacon-x', name, 'pids.events'), 'max 1\n');
        // A shell must be able to join for real.
        return {
          ...group,
          remove: async () => {
            for (const file of group.joinFiles) fake.put(file, '');
            await group.remove();
          },
        };
      },
    });
    expect([...probed!.enforces]).toEqual(['pids']);
    expect(groups.names()).toEqual([]);
    probed!.create('job-1', LIMITS);
    expect(seen.at(-1)).toBe('{"pids":7}');
    expect(fake.read(join(fake.mount(), 'beacon-x', 'job-1', 'memory.max'))).toBe('max');
  });

  test('nothing that bites is nothing', async () => {
    expect(await probeControlGroups(null)).toBeNull();
    const fake = fakeCgroupsV2(place(), ALL);
    const groups = found(fake)!;
    const refusing: ControlGroups = {
      ...groups,
      create() {
        throw new Error('no');
      },
    };
    expect(await probeControlGroups(refusing)).toBeNull();
  });
});
