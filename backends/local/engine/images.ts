import { Readable } from 'node:stream';
import { pack, type Pack } from 'tar-stream';
import { verifiedBlob, type LayoutImage } from '../image/layout.ts';
import { Refusal } from '../../refusal.ts';
import type { Engine } from './engine.ts';
import { engineErrorKind, engineRefusal } from './errors.ts';

/** An image in the engine's store: what to start, and the digest that the receipt names. */
export interface EngineImage {
  id: string;
  digest: string;
}

interface Inspected {
  Id: string;
  RepoDigests?: string[] | null;
}

/**
 * Present images are used as they are; others are pulled. `wanted`: the digest that it must have, of its manifest or,
 * for an image that never saw a registry, its id.
 */
export async function registryImage(
  engine: Engine,
  reference: string,
  wanted: string | null,
  signal: AbortSignal,
): Promise<EngineImage> {
  const exactly = wanted ?? DIGEST.exec(reference)?.[1] ?? null;
  const repository = repositoryOf(reference);
  const name = exactly === null ? reference : `${repository}@${exactly}`;
  const found = async (): Promise<EngineImage | null> => {
    for (const candidate of exactly === null ? [name] : [name, reference, exactly]) {
      const image = await inspect(engine, candidate);
      if (image === null) continue;
      const digests = digestsOf(image, repository);
      if (exactly === null) return { id: image.Id, digest: digests[0]! };
      if (digests.includes(exactly)) return { id: image.Id, digest: exactly };
    }
    return null;
  };
  const present = await found();
  if (present !== null) return present;
  await pull(engine, name, signal);
  const pulled = await found();
  if (pulled === null)
    throw new Refusal('image_unavailable', `the engine has no image ${name} after pulling it`);
  return pulled;
}

const DIGEST = /@(sha256:[0-9a-f]{64})$/;

/** Without tag and digest. */
function repositoryOf(reference: string): string {
  const tagged = reference.replace(/@.*$/, '');
  const colon = tagged.lastIndexOf(':');
  return colon > tagged.lastIndexOf('/') ? tagged.slice(0, colon) : tagged;
}

/** Everything by which the image may be called, first what its own repository calls it. */
function digestsOf({ Id: id, RepoDigests: named }: Inspected, repository: string): string[] {
  const entries = (named ?? []).flatMap((entry) => {
    const digest = DIGEST.exec(entry)?.[1];
    if (digest === undefined) return [];
    const own = entry.startsWith(`${repository}@`) || entry.endsWith(`/${repository}@${digest}`);
    return [{ digest, own }];
  });
  return [
    ...entries.filter(({ own }) => own),
    ...entries.filter(({ own }) => !own),
    { digest: withAlgorithm(id) },
  ].map(({ digest }) => digest);
}

async function pull(engine: Engine, reference: string, signal: AbortSignal): Promise<void> {
  try {
    const progress = (await engine.docker.pull(reference, { abortSignal: signal })) as unknown as Readable;
    const abort = (): void => void progress.destroy();
    signal.addEventListener('abort', abort, { once: true });
    try {
      let last = '';
      for await (const chunk of progress) last = String(chunk).trim().split('\n').at(-1) ?? last;
      // Engines answer 200 first and tell in the stream that nothing was pulled.
      if (/"error"/.test(last)) throw new Error(last.slice(0, 300));
    } finally {
      signal.removeEventListener('abort', abort);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (engineErrorKind(error) === 'away') throw engineRefusal(error, `pulling ${reference}`);
    throw new Refusal(
      'image_unavailable',
      `${reference} cannot be pulled: ${(error as Error).message.split('\n', 1)[0] ?? ''}`,
      {
        cause: error,
      },
    );
  }
}

/** Loads exactly the one image of a layout whose documents were checked, and checks what came of it. */
export async function layoutImage(
  engine: Engine,
  image: LayoutImage,
  signal: AbortSignal,
): Promise<EngineImage> {
  const reference = `localhost/beacon/oci:${image.digest.slice('sha256:'.length, 'sha256:'.length + 24)}`;
  const expected = [image.config.digest, image.digest];
  const holds = (found: Inspected | null): found is Inspected =>
    found !== null && expected.includes(withAlgorithm(found.Id));
  let found = await inspect(engine, reference);
  if (!holds(found)) {
    await load(engine, image, reference, signal);
    found = await inspect(engine, reference);
  }
  if (!holds(found))
    throw new Refusal('image_invalid', 'the engine made another image of the layout than its digest says');
  return { id: found.Id, digest: image.digest };
}

async function load(
  engine: Engine,
  image: LayoutImage,
  reference: string,
  signal: AbortSignal,
): Promise<void> {
  const archive = pack();
  const writing = writeArchive(archive, image, reference).catch((error: unknown) => {
    archive.destroy(error as Error);
    throw error;
  });
  const loading = (async () => {
    const answer = (await engine.docker.loadImage(archive, { abortSignal: signal })) as unknown as Readable;
    let text = '';
    for await (const chunk of answer) text += String(chunk);
    if (/"error"/.test(text)) throw new Error(text.trim().slice(0, 300));
  })();
  const [wrote, loaded] = await Promise.allSettled([writing, loading]);
  signal.throwIfAborted();
  if (wrote.status === 'rejected' && wrote.reason instanceof Refusal) throw wrote.reason;
  if (loaded.status === 'rejected') throw engineRefusal(loaded.reason, 'loading the image layout');
  if (wrote.status === 'rejected') throw wrote.reason;
}

async function writeArchive(archive: Pack, image: LayoutImage, reference: string): Promise<void> {
  const document = (name: string, bytes: Buffer): void =>
    void archive.entry({ name, mtime: new Date(0) }, bytes);
  const blob = (digest: string): string => `blobs/sha256/${digest.slice('sha256:'.length)}`;
  const manifest = {
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    digest: image.digest,
    size: image.manifest.length,
    annotations: { 'org.opencontainers.image.ref.name': reference },
  };
  document('oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
  document('index.json', Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [manifest] })));
  document(blob(image.digest), image.manifest);
  document(blob(image.config.digest), image.configBytes);
  for (const layer of image.layers) {
    await new Promise<void>((resolve, reject) => {
      const entry = archive.entry(
        { name: blob(layer.digest), size: layer.size, mtime: new Date(0) },
        (error) => (error ? reject(error) : resolve()),
      );
      Readable.from(verifiedBlob(image.folder, layer)).on('error', reject).pipe(entry);
    });
  }
  archive.finalize();
}

async function inspect(engine: Engine, reference: string): Promise<Inspected | null> {
  try {
    return await engine.docker.getImage(reference).inspect();
  } catch (error) {
    if (engineErrorKind(error) === 'not_found') return null;
    throw engineRefusal(error, `looking for the image ${reference}`);
  }
}

function withAlgorithm(id: string): string {
  return id.startsWith('sha256:') ? id : `sha256:${id}`;
}
