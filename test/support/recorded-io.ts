import type { Io } from '../../cli/io.ts';

export interface RecordedIo extends Io {
  /** What was written so far. */
  out(): string;
  err(): string;
  interrupt(): void;
}

export interface RecordedIoOptions {
  cwd?: string;
  env?: Record<string, string | undefined>;
  stdin?: string | Uint8Array | AsyncIterable<Uint8Array>;
  tty?: boolean;
  columns?: number;
}

/** An `Io` whose output can be read back: `main(argv, recordedIo())` runs a command without a process. */
export function recordedIo(options: RecordedIoOptions = {}): RecordedIo {
  const written = { out: '', err: '' };
  const soft = new AbortController();
  const hard = new AbortController();
  const output = (to: 'out' | 'err') => ({
    write: (text: string) => {
      written[to] += text;
    },
    isTty: options.tty ?? false,
    columns: () => options.columns ?? 80,
    rows: () => 24,
  });
  return {
    stdout: output('out'),
    stderr: output('err'),
    stdin: bytesOf(options.stdin ?? ''),
    env: options.env ?? {},
    cwd: options.cwd ?? '/nonexistent',
    signal: soft.signal,
    force: hard.signal,
    out: () => written.out,
    err: () => written.err,
    interrupt: () => soft.abort('SIGINT'),
  };
}

async function* bytesOf(
  content: string | Uint8Array | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  if (typeof content === 'string') yield Buffer.from(content);
  else if (content instanceof Uint8Array) yield content;
  else yield* content;
}
