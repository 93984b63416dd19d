import { randomBytes } from 'node:crypto';
import { toHex, utf8 } from '../../domain/encoding.ts';
import { isKeyName } from '../../domain/log/vkey.ts';
import { createLog, findLog, type LogHead } from '../../store/log-state.ts';
import type { Pool } from '../../store/pool.ts';
import { nodeSha256 } from '../keys/node-verifiers.ts';
import { LogServiceError } from './error.ts';

/**
 * The log of this database, made at first use. Its origin is fixed for its life: made once unless `origin` (the setting
 * `LOG_ORIGIN`) names one, and later only compared. Any process may call this; all get the same log.
 */
export async function openLog(
  pool: Pool,
  { origin }: { origin?: string | undefined } = {},
): Promise<LogHead> {
  if (origin !== undefined && !isKeyName(origin)) {
    throw new LogServiceError(
      'origin_invalid',
      `LOG_ORIGIN ${JSON.stringify(origin)} has white space or a plus`,
    );
  }
  const log = (await findLog(pool)) ?? (await createLog(pool, newLog(origin ?? defaultOrigin())));
  if (origin !== undefined && log.origin !== origin) {
    throw new LogServiceError(
      'origin_fixed',
      `the log's origin is ${log.origin} for its life; LOG_ORIGIN asks for ${origin}`,
    );
  }
  return log;
}

/** Throws LogServiceError `log_closed` when another log follows this one. */
export async function requireOpen(pool: Pool, logId: string): Promise<LogHead> {
  const head = await findLog(pool);
  if (head?.logId === logId) return head;
  throw new LogServiceError('log_closed', `the log ${logId} was closed; it is never signed again`);
}

/** Log ids are derived, so that two logs of one origin cannot stand side by side. */
export function logIdOf(origin: string): string {
  return toHex(nodeSha256(utf8(origin)).subarray(0, 8));
}

/** A log that is to be made. */
export function newLog(origin: string) {
  return { logId: logIdOf(origin), origin, root: nodeSha256(new Uint8Array()) };
}

/** A host name and nothing else: stock cosign takes a log's name from the host of a URL (docs/verify.md). */
export function defaultOrigin(): string {
  return `${randomBytes(6).toString('hex')}.beacon.local`;
}
