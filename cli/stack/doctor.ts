import { examine, type Check } from '../../embedded/doctor.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../failure.ts';
import type { Colours } from '../text/colour.ts';
import { printable } from '../text/printable.ts';

/** `beacon doctor`: 1 when something is missing without which nothing runs; what only adds something is told, too. */
export async function doctor(context: Context): Promise<number> {
  const checks = await examine({ stateFolder: context.stateDir, env: context.io.env });
  const well = checks.every(({ ok, required }) => ok || !required);
  if (context.json) context.document({ ok: well, checks });
  else for (const line of checks.flatMap((check) => checkLines(check, context.colours))) context.line(line);
  return well ? EXIT.ok : EXIT.failed;
}

function checkLines({ name, ok, required, detail, fix }: Check, colours: Colours): string[] {
  const mark = ok ? colours.green('✓') : required ? colours.red('✗') : colours.yellow('–');
  const line = `${mark} ${name.padEnd(10)} ${printable(detail)}`;
  return fix === '' ? [line] : [line, `  ${''.padEnd(10)} → ${printable(fix)}`];
}
