import { OutputGone, type Io, type Output } from './io.ts';

const FALLBACK_COLUMNS = 80;
const FALLBACK_ROWS = 24;

function outputTo(stream: NodeJS.WriteStream, gone: () => void): Output {
  let open = true;
  // `beacon job list | head -1`: when the reader has gone there is nobody to tell, not even about an error.
  stream.on('error', () => {
    open = false;
    gone();
  });
  return {
    write: (text) => {
      if (open) stream.write(text);
    },
    isTty: stream.isTTY,
    columns: () => stream.columns || FALLBACK_COLUMNS,
    rows: () => stream.rows || FALLBACK_ROWS,
  };
}

/** Resolves when what was written has left the process: a pipe that is read slowly holds it back. */
export async function flushed(): Promise<void> {
  await Promise.all(
    [process.stdout, process.stderr].map(
      (stream) =>
        new Promise<void>((resolve) => {
          if (stream.destroyed) resolve();
          else stream.write('', () => resolve());
        }),
    ),
  );
}

/** The real process: first signal asks for an end, the second demands it, the third gets the system's own answer. */
export function processIo(): Io {
  const soft = new AbortController();
  const hard = new AbortController();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (hard.signal.aborted) {
      for (const name of signals) process.off(name, onSignal);
      process.kill(process.pid, signal);
    } else if (soft.signal.aborted) hard.abort();
    else soft.abort();
  };
  for (const name of signals) process.on(name, onSignal);
  return {
    stdout: outputTo(process.stdout, () => soft.abort(new OutputGone())),
    stderr: outputTo(process.stderr, () => undefined),
    get stdin() {
      return process.stdin;
    },
    env: process.env,
    cwd: process.cwd(),
    signal: soft.signal,
    force: hard.signal,
  };
}
