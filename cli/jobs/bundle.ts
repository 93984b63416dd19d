import type { Context } from '../context.ts';
import { connect } from '../http/api.ts';
import { fetchJobBundle } from '../http/bundles.ts';
import { writeOutput } from '../input.ts';
import { printableJson } from '../text/printable.ts';

/** `beacon job bundle`. */
export async function bundleJob(context: Context, id: string, out: string | undefined): Promise<undefined> {
  const { client } = await connect(context);
  const bytes = await fetchJobBundle(client, id);
  if (out === undefined) {
    const text = new TextDecoder().decode(bytes);
    // The same values, with what a terminal would obey written as JSON escapes; a pipe gets the bytes.
    context.io.stdout.write(context.io.stdout.isTty ? `${printableJson(JSON.parse(text))}\n` : text);
    return;
  }
  await writeOutput(context, out, bytes);
  if (context.json) context.document({ job_id: id, file: out, bytes: bytes.length });
  else context.note(`${bytes.length} bytes → ${out}; check it anywhere: beacon verify ${out}`);
}
