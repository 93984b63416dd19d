import { mkdtemp, rm } from 'node:fs/promises';
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fakeCgroupsV1, fakeCgroupsV2, type FakeCgroups } from '../../../test/support/fake-cgroups.ts';
import { confirmed, ContainerGroups, watchGroup } from './container-group.ts';

const ID = 'ab12'.repeat(16);
const OTHER = 'cd34'.repeat(16);
let folder: string;
let made = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'beacon-container-groups-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
const place = (): string => join(folder, String(++made));

function processIs(fake: FakeCgroups, pid: number, memberships: string): void {
  mkdirSync(join(fake.places.processes, String(pid)), { recursive: true });
  fake.put(join(fake.places.processes, String(pid), 'cgroup'), memberships);
}

test('version 1: limits and counts are those of the folder that carries the container’s id', () => {
  const fake = fakeCgroupsV1(place(), ['memory', 'pids', 'cpu,cpuacct']);
  const path = `/libpod_parent/libpod-${ID}`;
  for (const controller of ['memory', 'pids', 'cpu,cpuacct']) fake.group(join(fake.mount(controller), path));
  const at = (controller: string, file: string): string => join(fake.mount(controller), path, file);
  fake.put(at('memory', 'memory.limit_in_bytes'), '67108864\n');
  fake.put(at('pids', 'pids.max'), '64\n');
  fake.put(at('cpu,cpuacct', 'cpu.cfs_quota_us'), '50000\n');
  fake.put(at('memory', 'memory.oom_control'), 'oom_kill_disable 0\noom_kill 1\n');
  fake.put(at('pids', 'pids.events'), 'max 3\n');
  fake.put(at('cpu,cpuacct', 'cpuacct.usage'), '1500000000\n');
  processIs(fake, 700, `4:memory:${path}\n3:pids:${path}\n2:cpu,cpuacct:${path}\n1:name=systemd:/\n`);
  const group = new ContainerGroups(fake.places).find(ID, 700)!;
  expect(group.held).toEqual({ memoryBytes: 67_108_864, pids: 64, cpus: 0.5, time: true });
  expect(group.counts()).toEqual({ memory: 1, pids: 3, cpuMs: 1_500 });
});

test('version 2: a scope with the engine’s own group within', () => {
  const fake = fakeCgroupsV2(place(), ['memory', 'pids', 'cpu']);
  const scope = join(fake.mount(), 'machine.slice', `libpod-${ID}.scope`);
  fake.group(join(scope, 'container'));
  for (const [file, text] of [
    ['memory.max', '67108864\n'],
    ['memory.events', 'oom 1\noom_kill 2\n'],
    ['pids.max', 'max\n'],
    ['pids.events', 'max 5\n'],
    ['cpu.max', '20000 100000\n'],
    ['cpu.stat', 'usage_usec 7000\n'],
  ] as const)
    fake.put(join(scope, file), text);
  processIs(fake, 700, `0::/machine.slice/libpod-${ID}.scope/container\n`);
  const group = new ContainerGroups(fake.places).find(ID, 700)!;
  expect(group.held).toEqual({ memoryBytes: 67_108_864, pids: Infinity, cpus: 0.2, time: true });
  expect(group.counts()).toEqual({ memory: 2, pids: 5, cpuMs: 7 });
});

test('a process that is not the container’s is somebody else on another machine', () => {
  const fake = fakeCgroupsV2(place(), ['memory', 'pids', 'cpu']);
  fake.group(join(fake.mount(), 'user.slice'));
  processIs(fake, 700, '0::/user.slice\n');
  const groups = new ContainerGroups(fake.places);
  expect(groups.find(ID, 700)).toBeNull();
  expect(groups.find(ID, 0)).toBeNull();
  expect(new ContainerGroups({ mounts: '/nowhere', processes: '/nowhere' }).find(ID, 700)).toBeNull();
});

test('a container that has ended already is found where the others were, and not once its group is gone', () => {
  const fake = fakeCgroupsV2(place(), ['memory', 'pids', 'cpu']);
  const scope = (id: string): string => join(fake.mount(), 'system.slice', `docker-${id}.scope`);
  fake.group(join(fake.mount(), 'system.slice'));
  for (const controller of ['memory', 'pids', 'cpu'])
    fake.kernel.write(join(fake.mount(), 'cgroup.subtree_control'), `+${controller}`);
  for (const id of [ID, OTHER]) {
    fake.group(scope(id));
    fake.put(join(scope(id), 'pids.max'), id === ID ? '1\n' : '2\n');
  }
  processIs(fake, 700, `0::/system.slice/docker-${ID}.scope\n`);
  const groups = new ContainerGroups(fake.places);
  expect(groups.find(OTHER, 701)).toBeNull();
  expect(groups.find(ID, 700)!.held.pids).toBe(1);
  expect(groups.find(OTHER, 701)!.held.pids).toBe(2);
  expect(groups.find('ef56'.repeat(16), 702)).toBeNull();
});

test('counts that were seen once outlive the group', () => {
  let now = { memory: 0, pids: 2, cpuMs: 40 };
  using counts = watchGroup({
    held: { memoryBytes: NaN, pids: 1, cpus: NaN, time: true },
    counts: () => now,
  });
  expect(counts.look()).toEqual({ memory: 0, pids: 2, cpuMs: 40 });
  now = { memory: 0, pids: 0, cpuMs: 0 };
  expect(counts.look()).toEqual({ memory: 0, pids: 2, cpuMs: 40 });
});

test('a limit that the engine promised and the kernel does not have is not claimed', () => {
  const terms = { memoryBytes: 1_000_000, cpus: 0.5, pids: 10, cpuSeconds: 7 };
  const held = { memoryBytes: 999_424, cpus: 0.5, pids: 10, time: true };
  expect(confirmed(held, terms)).toEqual({ cpu_seconds: 7 });
  expect(confirmed({ ...held, memoryBytes: Infinity, pids: 2_048, cpus: 2 }, terms)).toEqual({
    memory_bytes: null,
    cpu_cores: null,
    pids: null,
    cpu_seconds: 7,
  });
  // What cannot be seen stays the engine's word; time that is not counted cannot be bounded.
  expect(confirmed({ memoryBytes: NaN, cpus: NaN, pids: 10, time: false }, terms)).toEqual({
    cpu_seconds: null,
  });
});
