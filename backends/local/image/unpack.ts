import { createWriteStream } from 'node:fs';
import { chmod, link, lstat, mkdir, readdir, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as zlib from 'node:zlib';
import { extract, type Headers } from 'tar-stream';
import { BOUNDS } from '../bounds.ts';
import { Refusal } from '../../refusal.ts';
import { beneath } from './beneath.ts';
import { verifiedBlob, type Descriptor, type LayoutImage } from './layout.ts';

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
const MODE = 0o777;

interface Budget {
  bytes: number;
  entries: number;
}

/**
 * Lays an image's layers over one another in `root` (OCI image-spec, layer.md). No owners, devices, set-uid bits or
 * extended attributes: inside the sandbox everything belongs to nobody and nothing can gain rights anyway.
 */
export async function unpackImage(image: LayoutImage, root: string, signal: AbortSignal): Promise<void> {
  const budget: Budget = { bytes: BOUNDS.imageBytes, entries: BOUNDS.imageEntries };
  for (const layer of image.layers) await unpackLayer(image, layer, root, budget, signal);
  for (const place of ['proc', 'dev', 'tmp', 'beacon/in', 'beacon/out']) {
    const path = await beneath(root, place);
    await mkdir(path, { recursive: true, mode: 0o755 });
  }
}

async function unpackLayer(
  image: LayoutImage,
  layer: Descriptor,
  root: string,
  budget: Budget,
  signal: AbortSignal,
): Promise<void> {
  const own = new Set<string>();
  const tar = extract();
  tar.on('entry', (header, content, next) => {
    const size = header.size ?? 0;
    budget.entries--;
    budget.bytes -= size;
    const full = budget.entries < 0 || budget.bytes < 0;
    const done = full
      ? Promise.reject(new Refusal('image_invalid', 'the image is larger than an image may be'))
      : unpackEntry(root, header, content, own);
    done.then(
      () => {
        content.resume();
        next();
      },
      (error: unknown) => tar.destroy(error as Error),
    );
  });
  try {
    const source = Readable.from(verifiedBlob(image.folder, layer));
    const decompress = decompressor(layer.mediaType);
    if (decompress === null) await pipeline(source, tar, { signal });
    else await pipeline(source, decompress, tar, { signal });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Refusal) throw error;
    throw new Refusal('image_invalid', `a layer cannot be unpacked: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function decompressor(mediaType: string): NodeJS.ReadWriteStream | null {
  if (/gzip$/.test(mediaType)) return zlib.createGunzip();
  if (!/zstd$/.test(mediaType)) return null;
  const { createZstdDecompress } = zlib as { createZstdDecompress?: () => NodeJS.ReadWriteStream };
  if (createZstdDecompress === undefined)
    throw new Refusal(
      'image_unavailable',
      'the image has zstd layers, which this Node cannot read: use gzip or an engine',
    );
  return createZstdDecompress();
}

async function unpackEntry(
  root: string,
  header: Headers,
  content: Readable,
  own: Set<string>,
): Promise<void> {
  const path = await beneath(root, header.name);
  const name = basename(path);
  if (name === OPAQUE) return removeLower(dirname(path), own);
  if (name.startsWith(WHITEOUT)) {
    const hidden = name.slice(WHITEOUT.length);
    if (['', '.', '..'].includes(hidden))
      throw new Refusal('image_invalid', 'a layer hides what no file is called');
    return rm(join(dirname(path), hidden), { recursive: true, force: true });
  }
  if (path === root) return;

  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  own.add(path);
  const mode = (header.mode ?? 0o755) & MODE;
  if (header.type === 'directory') {
    const there = await lstat(path).catch(() => null);
    if (there !== null && !there.isDirectory()) await rm(path);
    await mkdir(path, { recursive: true });
    // Ours must stay writable for the layers above.
    return chmod(path, mode | 0o700);
  }
  await rm(path, { recursive: true, force: true });
  switch (header.type) {
    case 'file':
    case 'contiguous-file':
      await pipeline(content, createWriteStream(path, { flags: 'wx' }));
      return chmod(path, mode | 0o400);
    case 'symlink':
      return symlink(header.linkname ?? '', path);
    case 'link':
      return link(await beneath(root, header.linkname ?? ''), path);
    default:
      // Devices and FIFOs: /dev is the sandbox's own.
      return;
  }
}

/** An opaque folder hides what lower layers put there, not what this layer did. */
async function removeLower(folder: string, own: Set<string>): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name);
    const kept = [...own].some((mine) => mine === path || mine.startsWith(`${path}/`));
    if (!kept) await rm(path, { recursive: true, force: true });
  }
}
