import { PassThrough } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import type { Container } from 'dockerode';
import { WAITS } from '../bounds.ts';
import type { Task } from '../isolation.ts';
import { within } from './engine.ts';
import { engineErrorKind, engineRefusal } from './errors.ts';

export interface AttachedStreams {
  /** Resolves when everything that the program said has arrived. */
  ended(): Promise<void>;
}

/** Attached before the start, so nothing is missed; null when the image has no such command. */
export async function start(
  container: Container,
  task: Task,
  onEnd: () => void,
): Promise<AttachedStreams | null> {
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
