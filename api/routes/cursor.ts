import { ApiError } from '../errors.ts';

const POSITION = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z) ([A-Za-z0-9][A-Za-z0-9._-]{0,127})$/;

/** A place in a list that is ordered by time and id. */
interface Position {
  at: string;
  id: string;
}

/** The place as clients carry it: opaque to them, good for ever. */
export function encodeCursor({ at, id }: Position): string {
  return Buffer.from(`${at} ${id}`, 'latin1').toString('base64url');
}

export function decodeCursor(cursor: string): Position {
  const [, at, id] = POSITION.exec(Buffer.from(cursor, 'base64url').toString('latin1')) ?? [];
  if (at === undefined || id === undefined || Number.isNaN(Date.parse(at)))
    throw new ApiError('invalid_cursor');
  return { at, id };
}
