import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { WAITS } from '../bounds.ts';
import { joining } from '../launcher.ts';
import { waitUntil } from '../wait-until.ts';
import type { ControlGroups, Controlled, GroupLimits, JobGroup } from './group.ts';
import { controlGroupsV1 } from './v1.ts';
import { controlGroupsV2 } from './v2.ts';

/** One tiny misdeed per controller: each must make the kernel step in, or the limit is not claimed. */
const TRIES: Record<Controlled, { limits: GroupLimits; script: string }> = {
  memory: {
    limits: { memoryBytes: 16 * 1024 * 1024 },
    script: 'head -c 67108864 /dev/zero | tail -c 67108863 > /dev/null',
  },
  pids: { limits: { pids: 4 }, script: 'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait' },
  cpu: { limits: { cpus: 0.1 }, script: 'while :; do :; done' },
};

/** The machine's control groups, with `enforces` cut down to what really bit. */
export async function probeControlGroups(baseName: string): Promise<ControlGroups | null> {
  const groups = controlGroupsV1(baseName) ?? controlGroupsV2(baseName);
  if (groups === null) return null;
  const enforced = new Set<Controlled>();
  await Promise.all(
    [...groups.enforces].map(async (controller) => {
      if (await bites(groups, controller)) enforced.add(controller);
    }),
  );
  return enforced.size === 0 ? null : { ...groups, enforces: enforced };
}

async function bites(groups: ControlGroups, controller: Controlled): Promise<boolean> {
  let group: JobGroup | undefined;
  try {
    const tried = groups.create(`probe-${controller}-${randomUUID()}`, TRIES[controller].limits);
    group = tried;
    const [file, ...args] = joining(tried, ['/bin/sh', '-c', TRIES[controller].script]);
    const child = spawn(file, args, { env: {}, cwd: '/', stdio: 'ignore' });
    const ended = once(child, 'exit');
    const counted = (): boolean => tried.interventions()[controller] > 0;
    await waitUntil(() => counted() || child.exitCode !== null || child.signalCode !== null, WAITS.probeMs);
    tried.kill();
    child.kill('SIGKILL');
    await ended;
    return counted();
  } catch {
    // Cannot be set up, so it is not enforced.
    return false;
  } finally {
    await group?.remove();
  }
}
