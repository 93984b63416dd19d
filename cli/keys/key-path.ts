import os from 'node:os';
import path from 'node:path';
import type { Io } from '../io.ts';

/**
 * Where a person's signing key is: the option, else BEACON_KEY, else the user's configuration folder. Not the state
 * folder: a stack is thrown away more often than an identity.
 */
export function signingKeyPath(io: Pick<Io, 'cwd' | 'env'>, option: string | undefined): string {
  const named = namedKey(io, option);
  if (named !== undefined) return path.resolve(io.cwd, named);
  const home = io.env.HOME ?? os.homedir();
  const folder = io.env.XDG_CONFIG_HOME ?? path.join(home, '.config');
  return path.join(folder, 'beacon', 'key.pem');
}

/** The key file that the person named, if any: what is not there then is not made around it. */
export function namedKey(io: Pick<Io, 'env'>, option: string | undefined): string | undefined {
  return option ?? (io.env.BEACON_KEY === '' ? undefined : io.env.BEACON_KEY);
}
