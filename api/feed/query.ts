import { z } from 'zod';
import { parseCursor } from '../../domain/events/cursor.ts';
import type { Cursor } from '../../domain/events/cursor.ts';
import { FeedClosed } from './close.ts';

const MAX_TYPES = 32;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const START = 'start' as const;

const query = z.object({
  cursor: z
    .string()
    .transform((text, context): Cursor | typeof START => {
      if (text === '0') return START;
      const cursor = parseCursor(text);
      if (cursor !== undefined) return cursor;
      context.addIssue({ code: 'custom', message: 'is not a cursor of this feed' });
      return z.NEVER;
    })
    .optional(),
  from: z.literal(START).optional(),
  job_id: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,128}$/, 'is no id of a job')
    .optional(),
  execution_id: z
    .string()
    .toLowerCase()
    .refine((text) => UUID.test(text) || /^[0-9]{1,10}$/.test(text), 'is neither a UUID nor a number')
    .optional(),
  types: z
    .string()
    .transform((text) => text.split(',').filter((type) => type !== ''))
    .pipe(z.array(z.string().max(64)).max(MAX_TYPES))
    .optional(),
});

/** Where a client wants to begin and what it wants to see. */
export interface FeedQuery {
  /** Undefined: from now on. */
  start: Cursor | 'start' | undefined;
  jobId: string | undefined;
  /** UUID or number. */
  execution: string | undefined;
  types: readonly string[] | undefined;
}

/** Reads `?cursor=&from=start&job_id=&execution_id=&types=`; other parameters are left to others. */
export function parseFeedQuery(url: string): FeedQuery {
  const parameters = new URL(url, 'ws://feed').searchParams;
  const { success, data, error } = query.safeParse(Object.fromEntries(parameters));
  if (!success) {
    const issue = error.issues[0]!;
    const field = issue.path.join('.');
    throw new FeedClosed('invalid_query', { field, details: { field, reason: issue.message } });
  }
  return {
    start: data.cursor ?? data.from,
    jobId: data.job_id,
    execution: data.execution_id,
    types: data.types === undefined || data.types.length === 0 ? undefined : data.types,
  };
}
