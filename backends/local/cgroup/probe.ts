import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { WAITS } from '../bounds.ts';
import { joining } from '../launcher.ts';
import { waitUntil } from '../wait-until.ts';
import type { Kernel } from './files.ts';
import type { ControlGroups, Controlled, GroupLimits, JobGroup } from './group.ts';
import type { Places } from './places.ts';
import { controlGroupsV1 } from './v1.ts';
import { controlGroupsV2 } from './v2.ts';

/** Processor time after which it counts as counted. */
const COUNTED_MS = 20;

interface Misdeed {
  limits: GroupLimits;
  script: string;
  /** The kernel told of it. */
  told(group: JobGroup): boolean;
}

/** One tiny misdeed per controller: each must make the kernel step in, or the limit is not claimed. */
const TRIES: Record<Controlled, Misdeed> = {
  memory: {
    limits: { memoryBytes: 16 * 1024 * 1024 },
    script: 'head -c 67108864 /dev/zero | tail -c 67108863 > /dev/null',
    told: (group) => group.interventions().memory > 0,
  },
  pids: {
    limits: { pids: 4 },
    script: 'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait',
    told: (group) => group.interventions().pids > 0,
  },
  cpu: {
    limits: { cpus: 0.1 },
    script: 'while :; do :; done',
    told: (group) => group.interventions().cpu > 0,
  },
  time: {
    limits: { cpuSeconds: 1 },
    script: 'while :; do :; done',
    told: (group) => group.cpuMs() >= COUNTED_MS,
  },
};

/** The machine's control groups. */
export function controlGroups(baseName: string, places?: Places, kernel?: Kernel): ControlGroups | null {
  return controlGroupsV1(baseName, places, kernel) ?? controlGroupsV2(baseName, places, kernel);
}

/** `enforces` cut down to what really bit; null when nothing did. */
export async function probeControlGroups(groups: ControlGroups | null): Promise<ControlGroups | null> {
  if (groups === null) return null;
  const enforced = new Set<Controlled>();
  await Promise.all(
    [...groups.enforces].map(async (controller) => {
      if (await bites(groups, controller)) enforced.add(controller);
    }),
  );
  if (enforced.size === 0) return null;
  return {
    ...groups,
    enforces: enforced,
    create: (name, limits) => groups.create(name, among(enforced, limits)),
  };
}

/** What cannot be set here must not keep a job from what can. */
function among(enforced: ReadonlySet<Controlled>, limits: GroupLimits): GroupLimits {
  return {
    ...(enforced.has('memory') && limits.memoryBytes !== undefined && { memoryBytes: limits.memoryBytes }),
    ...(enforced.has('pids') && limits.pids !== undefined && { pids: limits.pids }),
    ...(enforced.has('cpu') && limits.cpus !== undefined && { cpus: limits.cpus }),
    ...(enforced.has('time') && limits.cpuSeconds !== undefined && { cpuSeconds: limits.cpuSeconds }),
  };
}

async function bites(groups: ControlGroups, controller: Controlled): Promise<boolean> {
  let group: JobGroup | undefined;
  try {
    const tried = groups.create(`probe-${controller}-${randomUUID()}`, TRIES[controller].limits);
    group = tried;
    const [file, ...args] = joining(tried, ['/bin/sh', '-c', TRIES[controller].script]);
    const child = spawn(file, args, { env: {}, cwd: '/', stdio: 'ignore' });
    const ended = once(child, 'exit');
    const told = (): boolean => TRIES[controller].told(tried);
    await waitUntil(() => told() || child.exitCode !== null || child.signalCode !== null, WAITS.probeMs);
    tried.kill();
    child.kill('SIGKILL');
    await ended;
    return told();
  } catch {
    // Cannot be set up, so it is not enforced.
    return false;
  } finally {
    await group?.remove();
  }
}
