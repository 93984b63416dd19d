import type { ExportFormat, ExportOptions } from '../commands/export.ts';
import type { Context } from '../context.ts';
import { CliError, EXIT } from '../failure.ts';
import { writeOutput } from '../input.ts';
import { printable } from '../text/printable.ts';
import { rejected } from '../verify/rejected.ts';
import { verifiedBundle } from '../verify/verified.ts';
import { exported } from './formats.ts';

/** `beacon export`: only what `beacon verify` accepts is written, and the keys that it names are those it trusted. */
export async function exportProof(
  context: Context,
  what: string,
  out: string | undefined,
  format: ExportFormat,
  options: ExportOptions,
): Promise<number> {
  if (format === 'car') {
    if (out === undefined) throw new CliError('usage', 'a CAR is written to a file, which is not named');
    return (await import('./export-car.ts')).exportCar(context, what, out, options);
  }
  const { bytes, trust, verdict } = await verifiedBundle(context, what, options);
  if (!verdict.ok) return rejected(context, verdict);
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
