import type { ExportFormat } from '../commands/export.ts';
import type { VerifyOptions } from '../commands/verify.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../failure.ts';
import { writeOutput } from '../input.ts';
import { printable } from '../text/printable.ts';
import { rejectedLines } from '../verify/verdict-lines.ts';
import { verifiedBundle } from '../verify/verified.ts';
import { exported } from './formats.ts';

/** `beacon export`: only what `beacon verify` accepts is written, and the keys that it names are those it trusted. */
export async function exportProof(
  context: Context,
  what: string,
  out: string | undefined,
  format: ExportFormat,
  options: VerifyOptions,
): Promise<number> {
  const { bytes, trust, verdict } = await verifiedBundle(context, what, options);
  if (!verdict.ok) {
    if (context.json) context.document(verdict);
    else for (const line of rejectedLines(verdict, context.colours)) context.note(line);
    return EXIT.failed;
  }
  const text = exported(format, bytes, trust);
  if (out === undefined) {
    // On a terminal nothing may be obeyed; a pipe gets the bytes, on which other tools compute hashes.
    context.io.stdout.write(context.io.stdout.isTty ? `${printable(text)}\n` : text);
    return EXIT.ok;
  }
  await writeOutput(context, out, text);
  if (context.json) context.document({ format, file: out, bytes: Buffer.byteLength(text) });
  else context.note(`${Buffer.byteLength(text)} bytes → ${out}`);
  return EXIT.ok;
}
