import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Context } from '../context.ts';
import { CliError, fileReasonOf } from '../failure.ts';
import { createKeyFile } from './key-file.ts';
import { namedKey, signingKeyPath } from './key-path.ts';

const PRIVATE_FOLDER = 0o700;

/** `beacon keygen`: standard output is the public key alone, so that scripts can take it. */
export async function keygen(context: Context, options: { out?: string }): Promise<undefined> {
  const file = signingKeyPath(context.io, options.out);
  if (namedKey(context.io, options.out) === undefined) await makePlace(path.dirname(file));
  const { publicText } = await createKeyFile(file);
  if (context.json) {
    context.document({ public_key: publicText, file });
    return;
  }
  context.note(
    `signing key written to ${path.relative(context.io.cwd, file) || file} (keep it secret); public key:`,
  );
  context.line(publicText);
}

/** The default place alone is made; a folder that was named and is not there is more likely a slip. */
async function makePlace(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER });
  } catch (cause) {
    throw new CliError('output_unwritable', `cannot make ${folder}: ${fileReasonOf(cause)}`, { cause });
  }
}
