import type { Context } from '../context.ts';
import { connect } from '../http/api.ts';
import { executionName } from '../http/execution-name.ts';
import { writeOutput } from '../input.ts';
import { printable } from '../text/printable.ts';

/** The service's own bound is 1 MiB. */
const RECEIPT_BYTES = 2 * 1024 * 1024;

/** `beacon receipt get`: the bytes as stored; their SHA-256 is the CID. */
export async function getReceipt(
  context: Context,
  name: string,
  out: string | undefined,
): Promise<undefined> {
  const { client } = await connect(context);
  const id = await executionName(client, name);
  const path = `/api/v1/executions/${encodeURIComponent(id)}/receipt`;
  const { bytes } = await client.request(path, { maxBytes: RECEIPT_BYTES });
  if (out === undefined) {
    const text = new TextDecoder().decode(bytes);
    // On a terminal nothing may be obeyed; a pipe gets the bytes, whose SHA-256 is the CID.
    context.io.stdout.write(context.io.stdout.isTty ? `${printable(text)}\n` : text);
    return;
  }
  await writeOutput(context, out, bytes);
  if (context.json) context.document({ execution: id, file: out, bytes: bytes.length });
  else context.note(`${bytes.length} bytes → ${out}`);
}
