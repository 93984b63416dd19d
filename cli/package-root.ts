import path from 'node:path';

/** The folder of package.json, also when this runs from `dist/`. */
export function packageRoot(): string {
  return path.dirname(import.meta.dirname.replace(/([\\/])dist([\\/]cli)$/, '$2'));
}
