import { setTimeout as pause } from 'node:timers/promises';
import { PassThrough } from 'node:stream';
import type { Container, ContainerInspectInfo } from 'dockerode';
import { BOUNDS, WAITS } from '../bounds.ts';
import { watchFolder } from '../folder-watch.ts';
import type { Ended, Isolation, Stopped, Task } from '../isolation.ts';
import { Refusal } from '../refusal.ts';
import { containerOptions, STATE_LABEL, WORK_LABEL } from './container-options.ts';
import { within, type Engine } from './engine.ts';
import { engineErrorKind, engineRefusal } from './errors.ts';

export interface ContainerMachine {
  engine: Engine;
  stateId: string;
}

/**
 * One container per attempt, named as the attempt: created (its id committed) → attached → started → looked at until it
 * stands still → killed if it had to be → removed. `wait` is not used: it never settles when the engine restarts.
 */
export function containerIsolation({ engine, stateId }: ContainerMachine): Isolation {
  return {
    kind: 'container',
    limits: (task) => ({
      memory_bytes: engine.enforces.memory ? task.terms.memoryBytes : null,
      cpu_cores: engine.enforces.cpu ? task.terms.cpus : null,
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
        return await runContainer(container, task);
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

async function runContainer(container: Container, task: Task): Promise<Ended> {
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
    using _watch = watchFolder(task.folder.output, stop);
    const state =
      streams === null ? null : await standsStill(container, hurry.signal, () => why.stopped !== null);
    const durationMs = Math.round(performance.now() - begin);
    await streams?.ended();
    task.streams.end();
    const stopped = why.stopped ?? task.streams.overflow;
    return {
      stopped,
      exitCode: stopped === null ? (state?.ExitCode ?? NO_SUCH_COMMAND) : null,
      startedAt,
      durationMs,
      killedForMemory: state?.OOMKilled === true,
      refusedProcesses: false,
    };
  } finally {
    task.stop.removeEventListener('abort', onStop);
    task.streams.onFull = () => undefined;
  }
}

interface AttachedStreams {
  /** Resolves when everything that the program said has arrived. */
  ended(): Promise<void>;
}

/** Attached before the start, so nothing is missed; null when the image has no such command. */
async function start(container: Container, task: Task, onEnd: () => void): Promise<AttachedStreams | null> {
  try {
    const stream = await within(
      container.attach({ stream: true, stdout: true, stderr: true, hijack: true }),
      WAITS.engineCallMs,
    );
    const outputs = (['stdout', 'stderr'] as const).map((source) => {
      const output = new PassThrough();
      output.on('data', (chunk: Buffer) => task.streams.push(source, chunk));
      return output;
    }) as [PassThrough, PassThrough];
    demux(container, stream, outputs);
    const over = new Promise<void>((resolve) => {
      for (const event of ['end', 'close', 'error']) stream.once(event, () => resolve());
    }).then(onEnd);
    await within(container.start(), WAITS.engineCallMs);
    return {
      async ended() {
        await Promise.race([over, pause(WAITS.pipesDrainedMs)]);
        (stream as unknown as { destroy?: () => void }).destroy?.();
      },
    };
  } catch (error) {
    const kind = engineErrorKind(error);
    if (kind === 'no_such_command' || kind === 'not_executable') {
      task.streams.system(
        `the command cannot be started: ${(error as Error).message.split('\n', 1)[0] ?? ''}`,
      );
      return null;
    }
    throw engineRefusal(error, 'starting the container');
  }
}

/** The modem is untyped in dockerode's declarations. */
function demux(
  container: Container,
  stream: NodeJS.ReadableStream,
  outputs: [PassThrough, PassThrough],
): void {
  const modem = container.modem as {
    demuxStream(from: NodeJS.ReadableStream, stdout: PassThrough, stderr: PassThrough): void;
  };
  modem.demuxStream(stream, ...outputs);
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
