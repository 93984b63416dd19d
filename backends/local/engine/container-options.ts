import type { ContainerCreateOptions } from 'dockerode';
import { BOUNDS } from '../bounds.ts';
import { INSIDE } from '../bubblewrap.ts';
import type { Task } from '../isolation.ts';
import type { Engine } from './engine.ts';

/** By which leftovers are found again: the attempt's name, and whose installation it was. */
export const WORK_LABEL = 'beacon.work';
export const STATE_LABEL = 'beacon.state';

/** What a container may do and have: as little as bubblewrap allows, said in an engine's words. */
export function containerOptions(engine: Engine, stateId: string, task: Task): ContainerCreateOptions {
  const { program, folder, terms } = task;
  if (program.kind !== 'engine') throw new Error('only an image of the engine can run in a container');
  const environment = { ...terms.environment, BEACON_INPUT: INSIDE.input, BEACON_OUTPUT_DIR: INSIDE.output };
  const ulimit = (Name: string, Soft: number, Hard = Soft) => ({ Name, Soft, Hard });
  return {
    name: task.name,
    Image: program.image,
    // A command of the job is the whole command: the image's entry point does not stand before it.
    ...(program.argv === null ? {} : { Entrypoint: program.argv, Cmd: [] }),
    Env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
    User: containerUser(engine, task),
    Labels: { [WORK_LABEL]: task.name, [STATE_LABEL]: stateId },
    Hostname: 'job',
    AttachStdout: true,
    AttachStderr: true,
    Tty: false,
    HostConfig: {
      NetworkMode: 'none',
      ReadonlyRootfs: true,
      IpcMode: 'none',
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      Memory: terms.memoryBytes,
      MemorySwap: terms.memoryBytes,
      NanoCpus: Math.round(terms.cpus * 1e9),
      PidsLimit: terms.pids,
      // They replace the engine's defaults, so they are given together; processes are counted by PidsLimit.
      Ulimits: [
        ulimit('nofile', BOUNDS.openFiles),
        ulimit('nproc', 4_096),
        ulimit('core', 0),
        ...(terms.cpuSeconds === null ? [] : [ulimit('cpu', terms.cpuSeconds, terms.cpuSeconds + 1)]),
      ],
      // The last two close what engines leave writable beside a read-only root.
      Tmpfs: {
        '/tmp': `rw,nosuid,nodev,mode=1777,size=${BOUNDS.tmpBytes}`,
        '/run': 'ro,size=4k',
        '/var/tmp': 'ro,size=4k',
      },
      Binds: [`${folder.inputFolder}:${INSIDE.inputFolder}:ro`, `${folder.output}:${INSIDE.output}:rw`],
    },
  };
}

/** Whoever owns the output folder: a rootless engine's root is the user that it runs as. */
function containerUser(engine: Engine, task: Task): string {
  if (task.user !== null) return `${task.user.uid}:${task.user.gid}`;
  return engine.rootless ? '0:0' : `${process.getuid?.() ?? 65_534}:${process.getgid?.() ?? 65_534}`;
}
