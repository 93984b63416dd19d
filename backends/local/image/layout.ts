import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, open, readFile, realpath } from 'node:fs/promises';
import { arch } from 'node:os';
import { join, resolve, sep } from 'node:path';
import { z } from 'zod';
import { BOUNDS } from '../bounds.ts';
import { Refusal } from '../../refusal.ts';

/** An OCI image layout on disk (OCI image-spec v1.1, image-layout.md), every document checked against its digest. */
const DESCRIPTOR = z.object({
  mediaType: z.string().default(''),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  size: z.number().int().nonnegative(),
  annotations: z.record(z.string(), z.string()).optional(),
  platform: z.object({ architecture: z.string(), os: z.string() }).optional(),
});
const INDEX = z.object({ manifests: z.array(DESCRIPTOR) });
const MANIFEST = z.object({ config: DESCRIPTOR, layers: z.array(DESCRIPTOR) });
const CONFIG = z.object({
  config: z
    .object({
      Env: z.array(z.string()).nullish(),
      Entrypoint: z.array(z.string()).nullish(),
      Cmd: z.array(z.string()).nullish(),
      WorkingDir: z.string().nullish(),
    })
    .nullish(),
});
export type Descriptor = z.infer<typeof DESCRIPTOR>;

const REF_NAME = 'org.opencontainers.image.ref.name';
const ARCHITECTURES: Record<string, string> = {
  x64: 'amd64',
  arm64: 'arm64',
  arm: 'arm',
  ia32: '386',
  riscv64: 'riscv64',
};

export interface LayoutImage {
  folder: string;
  /** `sha256:…` of the manifest: the image's identity. */
  digest: string;
  manifest: Buffer;
  config: Descriptor;
  configBytes: Buffer;
  layers: Descriptor[];
  entrypoint: string[];
  command: string[];
  environment: Record<string, string>;
  workingFolder: string;
}

/** Only what lies beneath one of `folders` can be named: the path comes from whoever signed the job. */
export async function findLayout(folders: string[], path: string): Promise<string> {
  for (const folder of folders) {
    const root = await realpath(folder).catch(() => null);
    if (root === null) continue;
    const found = await realpath(resolve(root, path)).catch(() => null);
    if (found !== null && (found === root || found.startsWith(root + sep))) return found;
  }
  throw new Refusal(
    'image_unavailable',
    `no image layout ${JSON.stringify(path)} in the folders that the operator allows`,
  );
}

/** `wanted`: the digest that it must have, wherever the tag leads by now. */
export async function openLayout(
  folder: string,
  tag: string | null,
  digest: string | null,
  wanted: string | null = null,
): Promise<LayoutImage> {
  const index = parse(INDEX, await document(join(folder, 'index.json')), 'index.json');
  const descriptor =
    wanted === null ? await choose(folder, index.manifests, tag, digest) : await held(folder, wanted);
  const manifestBytes = await blobDocument(folder, descriptor);
  const manifest = parse(MANIFEST, manifestBytes, 'manifest');
  const configBytes = await blobDocument(folder, manifest.config);
  const config = parse(CONFIG, configBytes, 'image configuration').config ?? {};
  return {
    folder,
    digest: descriptor.digest,
    manifest: manifestBytes,
    config: manifest.config,
    configBytes,
    layers: manifest.layers,
    entrypoint: config.Entrypoint ?? [],
    command: config.Cmd ?? [],
    environment: Object.fromEntries(
      (config.Env ?? []).map((entry) => {
        const equals = entry.indexOf('=');
        return equals < 1 ? [entry, ''] : [entry.slice(0, equals), entry.slice(equals + 1)];
      }),
    ),
    workingFolder: config.WorkingDir?.startsWith('/') === true ? config.WorkingDir : '/',
  };
}

/** By digest, by name, or the only one; an index of platforms is entered for this machine's. */
async function choose(
  folder: string,
  manifests: Descriptor[],
  tag: string | null,
  digest: string | null,
): Promise<Descriptor> {
  const named = manifests.filter((entry) =>
    digest !== null
      ? entry.digest === digest
      : tag === null ||
        entry.annotations?.[REF_NAME] === tag ||
        entry.annotations?.[REF_NAME]?.endsWith(`:${tag}`),
  );
  const fitting = named.filter(
    ({ platform }) =>
      platform === undefined || (platform.os === 'linux' && platform.architecture === ARCHITECTURES[arch()]),
  );
  const [only, ...others] = fitting;
  if (only === undefined || others.length > 0)
    throw new Refusal(
      'image_unavailable',
      `${fitting.length} images of the layout fit ${digest ?? tag ?? 'this machine'}; exactly one is needed`,
    );
  if (!/index|manifest\.list/.test(only.mediaType)) return only;
  const nested = parse(INDEX, await blobDocument(folder, only), 'index');
  return choose(folder, nested.manifests, null, null);
}

/** A manifest that a tag may have left: its bytes stay in the layout until somebody clears it. */
async function held(folder: string, digest: string): Promise<Descriptor> {
  const descriptor: Descriptor = { digest, mediaType: '', size: 0 };
  await access(blobPath(folder, descriptor)).catch((error: unknown) => {
    throw new Refusal('image_unavailable', `the job runs ${digest}, which the layout does not hold`, {
      cause: error,
    });
  });
  return descriptor;
}

export function blobPath(folder: string, descriptor: Descriptor): string {
  return join(folder, 'blobs', 'sha256', descriptor.digest.slice('sha256:'.length));
}

/** Streams a blob; ends with an error when its bytes are not what its digest says. */
export async function* verifiedBlob(folder: string, descriptor: Descriptor): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(blobPath(folder, descriptor)) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      yield chunk;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new Refusal('image_invalid', `the layout lacks the blob ${descriptor.digest}`, { cause: error });
  }
  check(hash.digest('hex'), descriptor);
}

async function blobDocument(folder: string, descriptor: Descriptor): Promise<Buffer> {
  const bytes = await document(blobPath(folder, descriptor));
  check(createHash('sha256').update(bytes).digest('hex'), descriptor);
  return bytes;
}

function check(hex: string, descriptor: Descriptor): void {
  if (`sha256:${hex}` !== descriptor.digest)
    throw new Refusal(
      'image_invalid',
      `a blob of the layout is not what its digest ${descriptor.digest} says`,
    );
}

async function document(path: string): Promise<Buffer> {
  try {
    const handle = await open(path, 'r');
    try {
      const { size } = await handle.stat();
      if (size > BOUNDS.imageDocumentBytes)
        throw new Refusal('image_invalid', 'a document of the layout is too large');
      return await readFile(handle);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal('image_invalid', 'the folder is no complete image layout', { cause: error });
  }
}

function parse<T>(shape: z.ZodType<T>, bytes: Buffer, what: string): T {
  try {
    return shape.parse(JSON.parse(bytes.toString('utf8')));
  } catch (error) {
    throw new Refusal('image_invalid', `the ${what} of the layout cannot be read`, { cause: error });
  }
}
