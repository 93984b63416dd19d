/**
 * The exit codes of `beacon` (docs/cli.md). Scripts rely on them: a number never changes its meaning.
 * 130 is the shell's own convention for "ended by Ctrl-C".
 */
export const EXIT = {
  ok: 0,
  /** The thing asked about failed: a negative verdict, a job that did not complete, a stack that did not start. */
  failed: 1,
  /** Wrong arguments, or a file given that cannot be used. */
  usage: 2,
  /** The service cannot be reached, or did not answer in time. */
  unreachable: 3,
  /** The service understood and refused: bad signature, unknown id, not allowed. */
  refused: 4,
  /** The service failed, or answered something that this version does not understand. */
  server: 5,
  /** A fault of the command itself. */
  internal: 70,
  interrupted: 130,
} as const;

const EXIT_OF = {
  usage: EXIT.usage,
  input_unreadable: EXIT.usage,
  input_invalid: EXIT.usage,
  output_exists: EXIT.usage,
  output_unwritable: EXIT.usage,
  key_missing: EXIT.usage,
  key_invalid: EXIT.usage,
  key_unsafe: EXIT.usage,
  spec_unsigned: EXIT.usage,
  trust_missing: EXIT.usage,
  not_here: EXIT.usage,
  failed: EXIT.failed,
  stack_failed: EXIT.failed,
  unreachable: EXIT.unreachable,
  timed_out: EXIT.unreachable,
  refused: EXIT.refused,
  not_found: EXIT.refused,
  server_failed: EXIT.server,
  answer_not_understood: EXIT.server,
  interrupted: EXIT.interrupted,
  internal: EXIT.internal,
} as const;

export type CliErrorCode = keyof typeof EXIT_OF;

/** What went wrong, why, and what to do next; printed as one line. */
export class CliError extends Error {
  readonly code: CliErrorCode;
  readonly next: string | undefined;
  /** The service's own code, when it refused. */
  readonly serverCode: string | undefined;

  constructor(
    code: CliErrorCode,
    message: string,
    options: { next?: string | undefined; cause?: unknown; serverCode?: string | undefined } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'CliError';
    this.code = code;
    this.next = options.next;
    this.serverCode = options.serverCode;
  }

  get exitCode(): number {
    return EXIT_OF[this.code];
  }
}

/** The message of anything thrown; an error that carries only a code (as a refused connection does) gives that. */
export function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  if (thrown.message !== '') return thrown.message;
  return codeOf(thrown) ?? thrown.name;
}

/** What the system's codes for files mean. */
const FILE_REASONS: Record<string, string> = {
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  EISDIR: 'it is a folder',
  ELOOP: 'its links go in a circle',
  ENAMETOOLONG: 'the name is too long',
  ENOENT: 'no such file or folder',
  ENOSPC: 'the disk is full',
  ENOTDIR: 'a part of its path is no folder',
  EROFS: 'the file system is read-only',
  ENXIO: 'it is no regular file',
};

/** As `reasonOf`, for something that was tried with a file; the caller names the file. */
export function fileReasonOf(thrown: unknown): string {
  return FILE_REASONS[codeOf(thrown) ?? ''] ?? reasonOf(thrown);
}

/** The `code` that Node puts on its errors (`ENOENT`, `ECONNREFUSED`). */
export function codeOf(thrown: unknown): string | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}
