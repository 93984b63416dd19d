import { chmod, mkdtemp, realpath, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

/** A folder that is gone when it is disposed; open to pass through for the accounts that servers run as. */
export async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const folder = await realpath(await mkdtemp(path.join(os.tmpdir(), 'beacon-test-')));
  await chmod(folder, 0o711);
  return {
    path: folder,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true, maxRetries: 5 }),
  };
}
