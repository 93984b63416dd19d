import { pino } from 'pino';
import type { DestinationStream, Logger } from 'pino';
import { tracing } from './tracing.ts';

export type Log = Logger;
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** What must never stand in a log, wherever an object that holds it is logged. */
const SECRETS = ['req.headers.authorization', 'headers.authorization', '*.authorization', '*.token'];

export interface LogOptions {
  destination?: DestinationStream;
  /** Lines written within a span name it: `trace_id`, `span_id`. */
  traced?: boolean;
}

/** JSON lines `{level, time, role, pid, msg, …}`, to stdout unless told otherwise. Fastify takes it as `loggerInstance`. */
export function createLogger(
  role: string,
  level: LogLevel = 'info',
  { destination, traced = false }: LogOptions = {},
): Log {
  const options = {
    level,
    base: { role, pid: process.pid },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: SECRETS, censor: '[hidden]' },
    ...(traced ? { mixin: () => tracing()?.ids() ?? {} } : {}),
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}
