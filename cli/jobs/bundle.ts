import type { Context } from '../context.ts';
import { connect } from '../http/api.ts';
import { fetchJobBundle } from '../http/bundles.ts';
import { writeOutput } from '../input.ts';

/** `beacon job bundle`. */
export async function bundleJob(context: Context, id: string, out: string | undefined): Promise<undefined> {
  const { client } = await connect(context);
  const bytes = await fetchJobBundle(client, id);
  if (out === undefined) {
    context.io.stdout.write(new TextDecoder().decode(bytes));
    return;
  }
  await writeOutput(context, out, bytes);
  context.note(`${bytes.length} bytes → ${out}; check it anywhere: beacon verify ${out}`);
}
