import { pino } from 'pino';
import type { DestinationStream, Logger } from 'pino';

export type Log = Logger;
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** What must never stand in a log, wherever an object that holds it is logged. */
const SECRETS = ['req.headers.authorization', 'headers.authorization', '*.authorization', '*.token'];

/** JSON lines `{level, time, role, pid, msg, …}`, to stdout unless told otherwise. Fastify takes it as `loggerInstance`. */
export function createLogger(role: string, level: LogLevel = 'info', destination?: DestinationStream): Log {
  const options = {
    level,
    base: { role, pid: process.pid },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: SECRETS, censor: '[hidden]' },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}
