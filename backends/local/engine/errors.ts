import { Refusal } from '../../refusal.ts';

/** What an engine's complaint means. Engines disagree on status codes, so the text counts as well. */
export type EngineErrorKind =
  'not_found' | 'name_taken' | 'no_such_command' | 'not_executable' | 'away' | 'other';

export function engineErrorKind(error: unknown): EngineErrorKind {
  const {
    statusCode,
    code,
    message = '',
  } = error as { statusCode?: number; code?: string; message?: string };
  if (code !== undefined && ['ECONNREFUSED', 'ECONNRESET', 'ENOENT', 'EPIPE', 'ETIMEDOUT'].includes(code))
    return 'away';
  if (/socket hang up/i.test(message)) return 'away';
  if (/name .*(already in use|is in use)|already in use by/i.test(message)) return 'name_taken';
  if (/permission denied/i.test(message) && /exec/i.test(message)) return 'not_executable';
  if (
    /(executable file|command).* not found|no such file or directory.*(exec|command)|exec:? .*no such file/i.test(
      message,
    )
  )
    return 'no_such_command';
  if (statusCode === 404 || /no such (container|image)/i.test(message)) return 'not_found';
  return 'other';
}

/** An engine that answers with an error, as the reason why an attempt failed. */
export function engineRefusal(error: unknown, doing: string): Refusal {
  const message = `${doing}: ${(error as Error).message.split('\n', 1)[0] ?? ''}`;
  return engineErrorKind(error) === 'away'
    ? new Refusal('backend_unavailable', message, { cause: error })
    : new Refusal('sandbox_unavailable', message, { cause: error });
}
