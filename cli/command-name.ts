import { existsSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from './package-root.ts';

/** How this command is called in a line to copy: in a checkout nothing put it on PATH. */
export function commandName(): string {
  return existsSync(path.join(packageRoot(), 'tsconfig.build.json')) ? 'npx beacon' : 'beacon';
}
