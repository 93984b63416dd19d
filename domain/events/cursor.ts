/**
 * A place in the feed: everything up to `position` has been seen. The epoch changes when a database is restored, so that
 * a cursor from before is known as foreign instead of pointing at other events. Clients treat the text as opaque.
 */
export interface Cursor {
  readonly epoch: string;
  readonly position: number;
}

const FORM = /^([a-z0-9]{1,32})\.(0|[1-9][0-9]{0,15})$/;

export function formatCursor({ epoch, position }: Cursor): string {
  return `${epoch}.${position}`;
}

/** The cursor that `text` is, or undefined when it cannot be one of ours. */
export function parseCursor(text: string): Cursor | undefined {
  const match = FORM.exec(text);
  if (match === null) return undefined;
  const position = Number(match[2]);
  return Number.isSafeInteger(position) ? { epoch: match[1]!, position } : undefined;
}
