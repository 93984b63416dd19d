import type { VerifyOptions } from '../commands/verify.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../failure.ts';
import { acceptedLines, rejectedLines } from './verdict-lines.ts';
import { verifiedBundle } from './verified.ts';

/** `beacon verify`: a file is checked as it is; anything else is fetched as such a file and then checked the same way. */
export async function verify(context: Context, what: string, options: VerifyOptions): Promise<number> {
  const { verdict } = await verifiedBundle(context, what, options);
  if (context.json) context.document(verdict);
  else {
    const lines = verdict.ok
      ? acceptedLines(verdict, context.colours)
      : rejectedLines(verdict, context.colours);
    for (const line of lines) context.line(line);
  }
  return verdict.ok ? EXIT.ok : EXIT.failed;
}
