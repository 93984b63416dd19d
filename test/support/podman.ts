import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findEngine } from '../../backends/local/engine/engine.ts';
import { findTool } from '../../backends/local/find-tool.ts';
import { isMissing } from '../../backends/local/prepare.ts';
import { eventually } from './eventually.ts';

/** Why no Podman can be started here. */
export function podmanMissing(): string | null {
  if (process.getuid?.() !== 0) return 'Podman is tested as root only';
  const lacking = ['podman', 'runc', 'conmon'].filter((tool) => findTool(tool) === null);
  return lacking.length === 0 ? null : `${lacking.join(', ')} not installed`;
}

export interface Podman {
  socket: string;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * A Docker-compatible socket of its own: own storage, own configuration, nothing of the machine's touched. The ulimits
 * are needed where the service may not raise its own. `mended`: conmon is started in the bundle's folder, because otherwise
 * Podman 4 never learns that a container was killed for memory. `registry`: `host:port` of one that speaks plain HTTP.
 */
export async function startPodman({
  mended = true,
  registry,
}: { mended?: boolean; registry?: string } = {}): Promise<Podman> {
  const folder = await mkdtemp(join(tmpdir(), 'beacon-podman-'));
  const at = (name: string): string => join(folder, name);
  await writeFile(
    at('storage.conf'),
    `[storage]\ndriver = "overlay"\ngraphroot = "${at('graph')}"\nrunroot = "${at('run')}"\n`,
  );
  await writeFile(
    at('conmon'),
    `#!/bin/sh
previous=
for word in "$@"; do
  [ "$previous" = -b ] && cd "$word"
  previous=$word
done
exec ${findTool('conmon')!} "$@"
`,
  );
  await chmod(at('conmon'), 0o755);
  await writeFile(
    at('containers.conf'),
    `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "${at('tmp')}"
static_dir = "${at('static')}"
conmon_path = ["${mended ? at('conmon') : findTool('conmon')!}"]
`,
  );
  await writeFile(
    at('registries.conf'),
    registry === undefined ? '' : `[[registry]]\nlocation = "${registry}"\ninsecure = true\n`,
  );
  const socket = at('podman.sock');
  const environment = {
    PATH: process.env.PATH ?? '',
    HOME: folder,
    CONTAINERS_STORAGE_CONF: at('storage.conf'),
    CONTAINERS_CONF: at('containers.conf'),
    CONTAINERS_REGISTRIES_CONF: at('registries.conf'),
  };
  const podman = findTool('podman')!;
  const service = spawn(podman, ['system', 'service', '--time=0', `unix://${socket}`], {
    env: environment,
    // An unmended conmon leaves its `oom` file there.
    cwd: folder,
    stdio: 'ignore',
  });
  await eventually(async () => {
    if (isMissing(await findEngine([socket]))) throw new Error('the Podman service does not answer');
    return true;
  });
  return {
    socket,
    async [Symbol.asyncDispose]() {
      const remove = spawn(podman, ['rm', '--all', '--force', '--time', '0'], {
        env: environment,
        stdio: 'ignore',
      });
      await once(remove, 'exit');
      const gone = once(service, 'exit');
      service.kill('SIGTERM');
      await gone;
      // Podman bind-mounts its own storage; nothing in it can be removed before.
      const unmount = spawn('umount', ['-l', at('graph/overlay')], { stdio: 'ignore' });
      await once(unmount, 'exit');
      await rm(folder, { recursive: true, force: true });
    },
  };
}
