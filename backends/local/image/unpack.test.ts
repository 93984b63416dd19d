import { access, lstat, mkdir, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { stateFolder } from '../../../test/backends/stand.ts';
import { writeLayout, type LayerEntry } from '../../../test/support/oci-layout.ts';
import { findLayout, openLayout } from './layout.ts';
import { RootfsCache } from './rootfs.ts';

const state = await stateFolder();
afterAll(() => state[Symbol.asyncDispose]());
let layouts = 0;

const file = (name: string, text = name): LayerEntry => [{ name, mode: 0o644 }, Buffer.from(text)];
const folder = (name: string): LayerEntry => [{ name, type: 'directory', mode: 0o755 }];
const link = (name: string, linkname: string): LayerEntry => [{ name, type: 'symlink', linkname }];

async function unpacked(...layers: LayerEntry[][]): Promise<string> {
  const path = join(state.path, `layout-${++layouts}`);
  await writeLayout(path, layers, { Cmd: ['/x'] });
  const image = await openLayout(path, 'latest', null);
  return new RootfsCache(state.path).rootfs(image, new AbortController().signal);
}

test('layers lie over one another, whiteouts hide what is below them', async () => {
  const root = await unpacked(
    [folder('a/'), file('a/one', '1'), file('a/two', '2'), folder('b/'), file('b/old'), file('plain')],
    [
      file('a/.wh.one', ''),
      file('a/three', '3'),
      file('b/new'),
      file('b/.wh..wh..opq', ''),
      link('short', 'a/two'),
    ],
  );
  expect((await readdir(join(root, 'a'))).sort()).toEqual(['three', 'two']);
  expect(await readdir(join(root, 'b'))).toEqual(['new']);
  expect(await readlink(join(root, 'short'))).toBe('a/two');
  expect(await readFile(join(root, 'plain'), 'utf8')).toBe('plain');
  await access(join(root, 'beacon', 'out'));
});

test('a second use of the same image unpacks nothing again', async () => {
  const layers = [[file('same')]];
  const root = await unpacked(...layers);
  await writeFile(join(root, 'mark'), '');
  expect(await unpacked(...layers)).toBe(root);
  await access(join(root, 'mark'));
});

test('a link that an image lays cannot lead a later entry out of it', async () => {
  await mkdir(join(state.path, 'outside'));
  const root = await unpacked(
    [link('absolute', join(state.path, 'outside')), link('up', '../../../../../../outside')],
    [file('absolute/evil'), file('up/evil')],
  );
  expect(await readdir(join(state.path, 'outside'))).toEqual([]);
  expect(await readFile(join(root, state.path, 'outside', 'evil'), 'utf8')).toBe('absolute/evil');
  expect(await readFile(join(root, 'outside', 'evil'), 'utf8')).toBe('up/evil');
});

test.each([
  ['an entry that climbs out', [file('../evil')]],
  ['an entry that climbs out in its middle', [file('a/../../evil')]],
  ['a whiteout of the folder above', [folder('a/'), file('a/.wh...', '')]],
  ['a hard link that climbs out', [[{ name: 'x', type: 'link', linkname: '../../evil' }] as LayerEntry]],
  ['a hard link to nothing', [[{ name: 'x', type: 'link', linkname: 'missing' }] as LayerEntry]],
  ['a ring of links', [link('a', 'b'), link('b', 'a'), file('a/x')]],
])('%s makes the image invalid and leaves nothing behind', async (_name, layer) => {
  const before = await readdir(join(state.path, 'images'));
  await expect(unpacked(layer)).rejects.toMatchObject({ failure: { code: 'image_invalid' } });
  expect(await readdir(join(state.path, 'images'))).toEqual(before);
});

test('devices and set-uid bits are not unpacked', async () => {
  const root = await unpacked([
    [{ name: 'disk', type: 'block-device', devmajor: 8, devminor: 0 }],
    [{ name: 'pipe', type: 'fifo' }],
    [{ name: 'su', mode: 0o4755 }, Buffer.from('x')],
  ]);
  expect(await readdir(root)).not.toContain('disk');
  expect(await readdir(root)).not.toContain('pipe');
  expect((await lstat(join(root, 'su'))).mode & 0o7777).toBe(0o755);
});

test('a blob that is not what its digest says is refused, and so is one that is missing', async () => {
  for (const damage of ['change', 'remove'] as const) {
    const path = join(state.path, `damaged-${damage}`);
    await writeLayout(path, [[file('x', damage)]], {});
    const image = await openLayout(path, null, null);
    const blob = join(path, 'blobs', 'sha256', image.layers[0]!.digest.slice(7));
    if (damage === 'remove') await rm(blob);
    else await writeFile(blob, Buffer.concat([await readFile(blob), Buffer.from([0])]));
    await expect(
      new RootfsCache(state.path).rootfs(image, new AbortController().signal),
    ).rejects.toMatchObject({ failure: { code: 'image_invalid' } });
  }
});

test('a changed manifest is refused', async () => {
  const path = join(state.path, 'changed-manifest');
  const { digest } = await writeLayout(path, [[file('x')]], {});
  await writeFile(join(path, 'blobs', 'sha256', digest.slice(7)), '{"config":{},"layers":[]}');
  await expect(openLayout(path, 'latest', null)).rejects.toMatchObject({
    failure: { code: 'image_invalid' },
  });
});

test('an image is found by tag, by digest, or as the only one', async () => {
  const path = join(state.path, 'tagged');
  const { digest } = await writeLayout(path, [[file('x')]], {}, 'v1');
  expect((await openLayout(path, 'v1', null)).digest).toBe(digest);
  expect((await openLayout(path, null, digest)).digest).toBe(digest);
  expect((await openLayout(path, null, null)).digest).toBe(digest);
  await expect(openLayout(path, 'v2', null)).rejects.toMatchObject({
    failure: { code: 'image_unavailable' },
  });
});

test('only layouts beneath the allowed folders can be named', async () => {
  const allowed = join(state.path, 'allowed');
  await writeLayout(join(allowed, 'good'), [[file('x')]], {});
  await writeLayout(join(state.path, 'forbidden'), [[file('x')]], {});
  expect(await findLayout([allowed], 'good')).toBe(join(allowed, 'good'));
  expect(await findLayout([allowed], join(allowed, 'good'))).toBe(join(allowed, 'good'));
  for (const path of ['../forbidden', join(state.path, 'forbidden'), '/etc', 'missing'])
    await expect(findLayout([allowed], path)).rejects.toMatchObject({
      failure: { code: 'image_unavailable' },
    });
  await expect(findLayout([], 'good')).rejects.toMatchObject({ failure: { code: 'image_unavailable' } });
});
