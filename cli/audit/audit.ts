import type { AuditOptions } from '../commands/audit.ts';
import type { Context } from '../context.ts';
import { CliError } from '../failure.ts';
import { auditDatabase } from './database.ts';
import { auditRemote } from './remote.ts';

/** `beacon audit`. */
export async function audit(
  context: Context,
  url: string | undefined,
  options: AuditOptions,
): Promise<number> {
  if (options.db !== true) return auditRemote(context, url, options);
  if (url !== undefined) {
    throw new CliError('usage', '--db audits the database; an address is for logs over HTTP', {
      next: 'give one or the other',
    });
  }
  return auditDatabase(context, options);
}
