import path from 'node:path';
import type { Context } from '../context.ts';
import { createKeyFile } from './key-file.ts';
import { signingKeyPath } from './key-path.ts';

/** `beacon keygen`: standard output is the public key alone, so that scripts can take it. */
export async function keygen(context: Context, options: { out?: string }): Promise<undefined> {
  const file = signingKeyPath(context.io, options.out);
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
