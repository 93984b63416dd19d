import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** `tools/temporal` of the checkout or package, also when this runs from `dist/`. */
export const sourceFolder = path.join(
  import.meta.dirname.replace(/([\\/])dist([\\/])embedded/, '$1embedded'),
  '../../tools/temporal',
);

export interface PinnedTemporal {
  /** Of the Temporal CLI, `1.8.2`. */
  version: string;
  /** Names a binary by this version, the hashes of all its sources and the machine it runs on. */
  name: string;
}

/** The one version that is downloaded or built, as `tools/temporal/go.mod` and `go.sum` pin it. */
export function pinnedTemporal(): PinnedTemporal {
  const mod = readFileSync(path.join(sourceFolder, 'go.mod'), 'utf8');
  const sum = existsSync(path.join(sourceFolder, 'go.sum'))
    ? readFileSync(path.join(sourceFolder, 'go.sum'), 'utf8')
    : '';
  const version = /\bgithub\.com\/temporalio\/cli v(\S+)/.exec(mod)?.[1];
  if (version === undefined) throw new TypeError(`${sourceFolder}/go.mod names no github.com/temporalio/cli`);
  const hash = createHash('sha256').update(mod).update(sum).digest('hex').slice(0, 8);
  return { version, name: `temporal-${version}-${hash}-${process.platform}-${process.arch}` };
}
