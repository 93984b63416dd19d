import type { Golem } from './sdk.ts';

export interface GolemLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/**
 * The SDK's lines, one level down: what it calls an error is often only a provider that said no. Their context is left
 * out, since it holds whole objects of the SDK, among them the daemon's key.
 */
export function sdkLogger(log: GolemLog, component = 'golem-js'): Golem.Logger {
  const line =
    (level: 'debug' | 'warn') =>
    (message: string, context?: object | Error): void => {
      const error = context instanceof Error ? context : (context as { error?: unknown } | undefined)?.error;
      log[level]({ component, ...(error instanceof Error ? { reason: error.message } : {}) }, message);
    };
  return {
    child: (name) => sdkLogger(log, `golem-js/${name}`),
    debug: () => undefined,
    info: line('debug'),
    warn: line('debug'),
    error: line('debug'),
  };
}
