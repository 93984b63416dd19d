import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** What receipts, the OpenAPI document and `beacon --version` say of the program. */
export const software: { name: string; version: string } = readPackage(import.meta.dirname);

function readPackage(folder: string): { name: string; version: string } {
  const file = path.join(folder, 'package.json');
  if (!existsSync(file)) return readPackage(path.dirname(folder));
  const { name, version } = JSON.parse(readFileSync(file, 'utf8')) as { name: string; version: string };
  return { name, version };
}
