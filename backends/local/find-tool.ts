import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

/** Where a program stands, on PATH or in the folders that a service's PATH often lacks. */
export function findTool(name: string): string | null {
  for (const folder of [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/usr/bin', '/sbin', '/bin']) {
    if (!folder.startsWith('/')) continue;
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // not here
    }
  }
  return null;
}
