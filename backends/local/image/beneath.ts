import { lstat, readlink } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { Refusal } from '../../refusal.ts';

const LINKS = 40;

/**
 * The real path of a name inside an unpacked image, links of the image followed as the image means them: never out of
 * `root`. The last part is not followed. `..` in an entry's own name is refused, in a link it stops at the root.
 */
export async function beneath(root: string, name: string): Promise<string> {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..') || name.includes('\0'))
    throw new Refusal(
      'image_invalid',
      `a layer names ${JSON.stringify(name.slice(0, 120))}, which leads out of the image`,
    );
  const last = parts.pop();
  const parent = await follow(root, parts);
  return last === undefined ? parent : join(parent, last);
}

/** `parts` with every link on the way resolved inside `root`; what does not exist yet stays as written. */
async function follow(root: string, parts: string[]): Promise<string> {
  const ahead = [...parts];
  let here: string[] = [];
  let links = 0;
  for (let part = ahead.shift(); part !== undefined; part = ahead.shift()) {
    if (part === '..') {
      here.pop();
      continue;
    }
    const path = join(root, ...here, part);
    const found = await lstat(path).catch(() => null);
    if (found?.isSymbolicLink() !== true) {
      here.push(part);
      continue;
    }
    if (++links > LINKS) throw new Refusal('image_invalid', 'a layer leads through a ring of links');
    const target = await readlink(path);
    if (isAbsolute(target)) here = [];
    ahead.unshift(...target.split('/').filter((piece) => piece !== '' && piece !== '.'));
  }
  return join(root, ...here);
}
