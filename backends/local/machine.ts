import { execFile } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { WAITS } from './bounds.ts';
import { bubblewrapArguments, confined, type SandboxTools } from './bubblewrap.ts';
import type { ControlGroups } from './cgroup/group.ts';
import { controlGroups, probeControlGroups } from './cgroup/probe.ts';
import type { Places } from './cgroup/places.ts';
import { findTool } from './find-tool.ts';
import { createJobFolder, removeFolder, stateSubfolder } from './job-folder.ts';
import { isRoot, JobUsers } from './job-users.ts';
import { stateId, type LocalSettings } from './settings.ts';

const run = promisify(execFile);

/** Why something cannot be used here, and what to do about it. */
export interface Missing {
  reason: string;
  fix: string;
}

/** What this machine can enforce, found by trying; nothing that was not tried is claimed. */
export interface Machine {
  tools: Pick<SandboxTools, 'prlimit' | 'setpriv'>;
  groups: ControlGroups | null;
  bubblewrap: SandboxTools | Missing;
  /** Null when a bare process can be run as it should. */
  processMissing: Missing | null;
}

export async function probeMachine(settings: LocalSettings, places?: Places): Promise<Machine> {
  const tools = { prlimit: findTool('prlimit'), setpriv: isRoot() ? findTool('setpriv') : null };
  const groups = await probeControlGroups(controlGroups(`beacon-${stateId(settings)}`, places));
  const utilLinux: Missing = { reason: 'setpriv is not installed', fix: 'install util-linux' };
  const processMissing = isRoot() && tools.setpriv === null ? utilLinux : null;
  return {
    tools,
    groups,
    bubblewrap: processMissing ?? (await probeBubblewrap(settings, tools)),
    processMissing,
  };
}

/** Says what it sees from inside; every line must be as the sandbox promises. */
const LOOK = `
echo "interfaces $(grep -c : /proc/net/dev)"
echo "$(grep CapEff /proc/self/status)"
echo "$(grep NoNewPrivs /proc/self/status)"
for place in / /usr /dev /beacon/in; do (: > "$place/.probe") 2>/dev/null && echo "writable $place"; done
(: > "$BEACON_OUTPUT_DIR/probe") && echo "output writable"
echo "files $(grep 'Max open files' /proc/self/limits)"
`;

async function probeBubblewrap(
  settings: LocalSettings,
  found: Pick<SandboxTools, 'prlimit' | 'setpriv'>,
): Promise<SandboxTools | Missing> {
  const bwrap = findTool('bwrap');
  if (bwrap === null)
    return {
      reason: 'bubblewrap is not installed',
      fix: 'apt-get install bubblewrap (or dnf, apk, pacman), or provide a Docker-compatible socket',
    };
  let last = '';
  for (const disableUserns of [true, false]) {
    const tools: SandboxTools = { ...found, bwrap, disableUserns };
    const said = await lookFromInside(settings, tools);
    if (said.ok) return tools;
    last = said.why;
  }
  return {
    reason: `bubblewrap does not work here: ${last}`,
    fix: 'allow unprivileged user namespaces (sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns), and keep the state folder where every user may pass',
  };
}

async function lookFromInside(
  settings: LocalSettings,
  tools: SandboxTools,
): Promise<{ ok: true } | { ok: false; why: string }> {
  const name = (await mkdtemp(join(await stateSubfolder(settings.stateFolder, 'jobs'), 'probe-')))
    .split('/')
    .at(-1)!;
  const user = isRoot() ? new JobUsers(settings.users).take() : null;
  const folder = await createJobFolder(settings.stateFolder, name, Buffer.from('{}'), user);
  try {
    const terms = {
      command: [],
      environment: {},
      memoryBytes: settings.memoryBytes,
      cpus: 1,
      cpuSeconds: null,
      pids: settings.pids,
    };
    const program = { kind: 'host', programFolder: null, argv: ['/bin/sh', '-c', LOOK] } as const;
    const [file, ...args] = [
      ...confined(tools, null, { user, terms }),
      // The information descriptor is for the real run; here nobody reads it.
      ...bubblewrapArguments(tools, { program: { ...program, argv: [...program.argv] }, folder, terms }).map(
        (word, index, words) => (words[index - 1] === '--info-fd' ? '2' : word),
      ),
    ];
    const { stdout } = await run(file!, args, { env: {}, cwd: '/', timeout: WAITS.probeMs });
    const wrong = unkept(stdout);
    return wrong === null ? { ok: true } : { ok: false, why: wrong };
  } catch (error) {
    const said = (error as { stderr?: string }).stderr ?? '';
    const line = said.split('\n').find((text) => /^(bwrap|setpriv|prlimit): /.test(text));
    return { ok: false, why: line ?? (error as Error).message.split('\n', 1)[0]! };
  } finally {
    await removeFolder(folder.path);
  }
}

function unkept(said: string): string | null {
  if (!/^interfaces 1$/m.test(said)) return 'the network is not cut off';
  if (!/^CapEff:\s*0+$/m.test(said)) return 'capabilities are left';
  if (!/^NoNewPrivs:\s*1$/m.test(said)) return 'privileges can be gained';
  if (!/^output writable$/m.test(said)) return 'the output folder is not writable';
  const writable = /^writable (.*)$/m.exec(said)?.[1];
  return writable === undefined ? null : `${writable} is writable`;
}
