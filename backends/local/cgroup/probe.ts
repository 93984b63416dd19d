import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { WAITS } from '../bounds.ts';
import { joining } from '../launcher.ts';
import type { ControlGroups, Controlled, GroupLimits, JobGroup } from './group.ts';
import { controlGroupsV1 } from './v1.ts';
import { controlGroupsV2 } from './v2.ts';

const run = promisify(execFile);

/** One tiny misdeed per controller: each must make the kernel step in, or the limit is not claimed. */
const TRIES: Record<Controlled, { limits: GroupLimits; script: string }> = {
  memory: {
    limits: { memoryBytes: 16 * 1024 * 1024 },
    script: 'head -c 67108864 /dev/zero | tail -c 67108863 > /dev/null',
  },
  pids: { limits: { pids: 4 }, script: 'for i in 1 2 3 4 5 6 7 8; do sleep 0.1 & done; wait' },
  cpu: { limits: { cpus: 0.05 }, script: 'i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done' },
};

/** The machine's control groups, with `enforces` cut down to what really bit. */
export async function probeControlGroups(
  baseName: string,
  signal: AbortSignal,
): Promise<ControlGroups | null> {
  const groups = controlGroupsV1(baseName) ?? controlGroupsV2(baseName);
  if (groups === null) return null;
  const enforced = new Set<Controlled>();
  await Promise.all(
    [...groups.enforces].map(async (controller) => {
      const name = `probe-${controller}-${process.pid}`;
      let group: JobGroup | undefined;
      try {
        group = groups.create(name, TRIES[controller].limits);
        const [file, ...args] = joining(group, ['/bin/sh', '-c', TRIES[controller].script]);
        // The program is meant to fail; only what the kernel counted is of interest.
        await run(file, args, { env: {}, cwd: '/', timeout: WAITS.probeMs, signal }).catch(() => undefined);
        if (group.interventions()[controller] > 0) enforced.add(controller);
      } catch {
        // cannot be set up: not enforced
      } finally {
        await group?.remove();
      }
    }),
  );
  return enforced.size === 0 ? null : { ...groups, enforces: enforced };
}
