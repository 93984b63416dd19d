import type { Rejected } from '../../domain/receipt/verdict.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../failure.ts';
import { rejectedLines } from './verdict-lines.ts';

/** Says why nothing is made of a bundle. */
export function rejected(context: Context, verdict: Rejected): number {
  if (context.json) context.document(verdict);
  else for (const line of rejectedLines(verdict, context.colours)) context.note(line);
  return EXIT.failed;
}
