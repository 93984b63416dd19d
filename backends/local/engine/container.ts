import { setTimeout as pause } from 'node:timers/promises';
import type { Container, ContainerInspectInfo } from 'dockerode';
import { BOUNDS, WAITS } from '../bounds.ts';
import { watchFolder } from '../folder-watch.ts';
import type { Ended, Isolation, Stopped, Task } from '../isolation.ts';
import { Refusal } from '../../refusal.ts';
import { endedForTime, watchProcessorTime } from '../time-watch.ts';
import { confirmed, watchGroup, type ContainerGroup, type ContainerGroups } from './container-group.ts';
import { containerOptions, STATE_LABEL, WORK_LABEL } from './container-options.ts';
import { start } from './container-start.ts';
import { within, type Engine } from './engine.ts';
import { engineErrorKind, engineRefusal } from './errors.ts';

export interface ContainerMachine {
  engine: Engine;
  groups: ContainerGroups;
  stateId: string;
}

/**
 * One container per attempt, named as the attempt: created (its id committed) → attached → started → looked at until it
 * stands still → killed if it had to be → removed. `wait` is not used: it never settles when the engine restarts.
 */
export function containerIsolation({ engine, groups, stateId }: ContainerMachine): Isolation {
  return {
    kind: 'container',
    limits: (task) => ({
      memory_bytes: engine.enforces.memory ? task.terms.memoryBytes : null,
      cpu_cores: engine.enforces.cpu ? task.terms.cpus : null,
      // Known once the container's control group is seen.
      cpu_seconds: null,
      pids: engine.enforces.pids ? task.terms.pids : null,
      open_files: BOUNDS.openFiles,
      // The first process of a container is not killed by SIGXFSZ, so the limit would only hide why a write failed.
      file_bytes: null,
      folder_bytes: BOUNDS.folderBytes,
      tmp_bytes: BOUNDS.tmpBytes,
      stdout_bytes: BOUNDS.stdoutBytes,
      wall_ms: task.budgetMs,
      network: 0,
    }),
    async run(task) {
      const container = await create(engine, stateId, task);
      try {
        await task.record({ container: container.id });
        return await runContainer(container, task, groups);
      } finally {
        await removeContainer(container);
      }
    },
  };
}

async function create(engine: Engine, stateId: string, task: Task): Promise<Container> {
  const options = containerOptions(engine, stateId, task);
  const attempt = (): Promise<Container> =>
    within(engine.docker.createContainer(options), WAITS.engineCallMs);
  try {
    return await attempt().catch(async (error: unknown) => {
      // Left over from a life of this very attempt that was fenced off.
      if (engineErrorKind(error) !== 'name_taken') throw error;
      await removeContainer(engine.docker.getContainer(task.name));
      return attempt();
    });
  } catch (error) {
    task.stop.throwIfAborted();
    throw engineRefusal(error, 'creating the container');
  }
}

async function runContainer(container: Container, task: Task, groups: ContainerGroups): Promise<Ended> {
  const why: { stopped: Stopped | null } = { stopped: null };
  const hurry = new AbortController();
  const stop = (reason: Stopped): void => {
    if (why.stopped !== null) return;
    why.stopped = reason;
    void within(container.kill({ signal: 'KILL' }), WAITS.engineCallMs).catch(() => undefined);
    hurry.abort();
  };
  const onStop = (): void => stop('stop');
  task.streams.onFull = () => stop(task.streams.overflow === 'stderr' ? 'stderr' : 'stdout');
  task.stop.addEventListener('abort', onStop, { once: true });
  const startedAt = new Date().toISOString();
  const begin = performance.now();
  try {
    task.stop.throwIfAborted();
    const streams = await start(container, task, () => hurry.abort());
    const group = streams === null ? null : await seenGroup(container, groups);
    using counts = watchGroup(group);
    hurry.signal.addEventListener('abort', () => void counts.look(), { once: true });
    using _folder = watchFolder(task.folder.output, task.user?.uid ?? null, stop);
    using _time = watchProcessorTime(
      group === null ? null : task.terms.cpuSeconds,
      () => counts.look().cpuMs,
      () => stop('cpu_seconds'),
    );
    const state =
      streams === null ? null : await standsStill(container, hurry.signal, () => why.stopped !== null);
    const durationMs = Math.round(performance.now() - begin);
    await streams?.ended();
    task.streams.end();
    const stopped = why.stopped ?? task.streams.overflow;
    const exitCode = state?.ExitCode ?? NO_SUCH_COMMAND;
    const { memory, pids, cpuMs } = counts.look();
    return {
      stopped,
      exitCode: stopped === null ? exitCode : null,
      startedAt,
      durationMs,
      // Some engines never tell it.
      killedForMemory: state?.OOMKilled === true || memory > 0,
      refusedProcesses: pids > 0,
      killedForTime: endedForTime(exitCode, cpuMs, task.terms.cpuSeconds),
      limits: group === null ? {} : confirmed(group.held, task.terms),
    };
  } finally {
    task.stop.removeEventListener('abort', onStop);
    task.streams.onFull = () => undefined;
  }
}

/** Null where the engine's machine, or its view of processes, is another one. */
async function seenGroup(container: Container, groups: ContainerGroups): Promise<ContainerGroup | null> {
  try {
    const { State: state } = await within(container.inspect(), WAITS.engineCallMs);
    return groups.find(container.id, state.Pid);
  } catch {
    // Not worth an attempt: the limits hold, only their codes are not told.
    return null;
  }
}

type State = ContainerInspectInfo['State'];
/** Words of Docker and Podman for a container that has not run. */
const NOT_YET = ['created', 'configured', 'initialized', 'running'];
/** As a shell says it. */
const NO_SUCH_COMMAND = 127;

/** Looks seldom, and often once `hurry` tells that the end is near; outlives a restart of the engine. */
async function standsStill(container: Container, hurry: AbortSignal, killing: () => boolean): Promise<State> {
  let awaySince: number | null = null;
  let stepMs: number = WAITS.pollFirstMs;
  for (;;) {
    if (hurry.aborted) {
      await pause(stepMs);
      stepMs = Math.min(stepMs * 2, WAITS.containerLookMs);
    } else {
      await pause(WAITS.containerLookMs, undefined, { signal: hurry }).catch(() => undefined);
    }
    try {
      const { State: state } = await within(container.inspect(), WAITS.engineCallMs);
      awaySince = null;
      if (!state.Running && !NOT_YET.includes(state.Status)) return state;
      if (killing())
        await within(container.kill({ signal: 'KILL' }), WAITS.engineCallMs).catch(() => undefined);
    } catch (error) {
      if (engineErrorKind(error) === 'not_found')
        throw new Refusal('provider_lost', 'somebody removed the container while it ran', { cause: error });
      awaySince ??= performance.now();
      if (performance.now() - awaySince > WAITS.engineAwayMs)
        throw new Refusal('provider_lost', 'the container engine went away while the program ran', {
          cause: error,
        });
    }
  }
}

/** Killed first: a forced removal would wait for the stop timeout. "Already gone" is success. */
export async function removeContainer(container: Container): Promise<void> {
  await within(container.kill({ signal: 'KILL' }), WAITS.engineCallMs).catch(() => undefined);
  try {
    await within(container.remove({ force: true, v: true }), WAITS.engineCallMs);
  } catch (error) {
    const kind = engineErrorKind(error);
    // What an absent engine left is reaped by its label when the next worker starts.
    if (kind !== 'not_found' && kind !== 'away') throw error;
  }
}

/** Names of the attempts whose containers exist, by label. */
export async function labelledContainers(
  engine: Engine,
  stateId: string,
): Promise<{ name: string; container: Container }[]> {
  const listed = await within(
    engine.docker.listContainers({ all: true, filters: { label: [`${STATE_LABEL}=${stateId}`] } }),
    WAITS.engineCallMs,
  );
  return listed.flatMap((entry) => {
    const name = entry.Labels[WORK_LABEL];
    return name === undefined ? [] : [{ name, container: engine.docker.getContainer(entry.Id) }];
  });
}
