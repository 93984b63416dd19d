/** What a command may touch of the process around it; tests hand in their own. */
export interface Output {
  write(text: string): void;
  isTty: boolean;
  /** Cells per line and lines, now; they change with the window. */
  columns(): number;
  rows(): number;
}

/** Why `signal` was aborted when it was not a Ctrl-C: whoever read our output has gone. */
export class OutputGone extends Error {}

export interface Io {
  stdout: Output;
  stderr: Output;
  stdin: AsyncIterable<Uint8Array>;
  env: Record<string, string | undefined>;
  cwd: string;
  /** Aborted at the first Ctrl-C or SIGTERM, and when nobody reads the output any more: come to an end. */
  signal: AbortSignal;
  /** Aborted at the second: end now, whatever is under way. */
  force: AbortSignal;
}
