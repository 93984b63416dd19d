import { CID } from 'multiformats/cid';
import type { ExportOptions } from '../commands/export.ts';
import type { Context } from '../context.ts';
import { CliError, EXIT } from '../failure.ts';
import { connect } from '../http/api.ts';
import { writeOutput } from '../input.ts';
import { rejected } from '../verify/rejected.ts';
import { verifiedBundle } from '../verify/verified.ts';
import { carOfBundle, carOfCid, type Car } from './car.ts';

/** `beacon export --car`: of what the log vouches for, or of the blocks below a CID, which vouches for itself. */
export async function exportCar(
  context: Context,
  what: string,
  out: string,
  options: ExportOptions,
): Promise<number> {
  const found = await verifiedBundle(context, what, options).catch((thrown: unknown) => {
    const cid = isNoProof(thrown) ? cidOf(what) : undefined;
    if (cid === undefined || options.files === true) throw thrown;
    return cid;
  });
  if (found instanceof CID) {
    const { client } = await connect(context);
    return write(
      context,
      out,
      await carOfCid(found, client),
      'checked against its CID; the log has no entry of it',
    );
  }
  if (!found.verdict.ok) return rejected(context, found.verdict);
  const client = options.files === true ? (await connect(context)).client : undefined;
  return write(context, out, await carOfBundle(found.bytes, client), 'checked against the log');
}

async function write(context: Context, out: string, { bytes, roots }: Car, checked: string): Promise<number> {
  await writeOutput(context, out, bytes);
  if (context.json) context.document({ format: 'car', file: out, bytes: bytes.length, roots });
  else context.note(`${bytes.length} bytes, ${roots.length} roots → ${out}; ${checked}`);
  return EXIT.ok;
}

/** The log has no entry about what was named, but the gateway may have it. */
const isNoProof = (thrown: unknown): boolean =>
  thrown instanceof CliError && (thrown.code === 'not_found' || thrown.serverCode === 'cid_is_bundle');

function cidOf(text: string): CID | undefined {
  try {
    return CID.parse(text);
  } catch {
    return undefined;
  }
}
