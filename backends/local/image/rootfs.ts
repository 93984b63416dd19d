import { chmod, mkdir, mkdtemp, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { removeFolder, stateSubfolder } from '../job-folder.ts';
import type { LayoutImage } from './layout.ts';
import { unpackImage } from './unpack.ts';

/** Unpacked images by manifest digest. A folder under its final name is complete: it was renamed there. */
export class RootfsCache {
  readonly #stateFolder: string;
  readonly #unpacking = new Map<string, Promise<string>>();

  constructor(stateFolder: string) {
    this.#stateFolder = stateFolder;
  }

  async rootfs(image: LayoutImage, signal: AbortSignal): Promise<string> {
    const images = await stateSubfolder(this.#stateFolder, 'images');
    const target = join(images, image.digest.replace(':', '-'));
    if (await exists(target)) return target;
    const underWay = this.#unpacking.get(target);
    if (underWay !== undefined) {
      // Another attempt unpacks it; when that one is stopped, this one does it itself.
      await underWay.catch(() => undefined);
      signal.throwIfAborted();
      return this.rootfs(image, signal);
    }
    const unpacking = unpack(image, images, target, signal).finally(() => this.#unpacking.delete(target));
    this.#unpacking.set(target, unpacking);
    return unpacking;
  }
}

async function unpack(
  image: LayoutImage,
  images: string,
  target: string,
  signal: AbortSignal,
): Promise<string> {
  const draft = await mkdtemp(join(images, 'draft-'));
  try {
    const root = join(draft, 'rootfs');
    await mkdir(root, { mode: 0o755 });
    await unpackImage(image, root, signal);
    await chmod(root, 0o755);
    await rename(root, target).catch(async (error: unknown) => {
      // Another worker was faster.
      if (!(await exists(target))) throw error;
    });
    return target;
  } finally {
    await removeFolder(draft);
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
