import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { pack, type Headers } from 'tar-stream';
import { findTool } from '../../backends/local/find-tool.ts';

export type LayerEntry = [header: Headers, bytes?: Buffer];

export interface BuiltLayout {
  /** `sha256:…` of the manifest. */
  digest: string;
  configDigest: string;
  layerDigests: string[];
}

/** Why the busybox image cannot be built here. */
export function busyboxMissing(): string | null {
  const busybox = findTool('busybox');
  if (busybox === null) return 'busybox-static is not installed';
  try {
    const dynamic = execFileSync('head', ['-c', '4096', busybox]).includes('ld-linux');
    return dynamic ? 'busybox is not statically linked' : null;
  } catch {
    return 'busybox cannot be read';
  }
}

/** An image with nothing but busybox, built from scratch: no registry and no other tool is needed. */
export async function busyboxLayout(
  folder: string,
  tag = 'latest',
  motd = 'from the image',
): Promise<BuiltLayout> {
  const busybox = findTool('busybox')!;
  const applets = execFileSync(busybox, ['--list'], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .filter((applet) => applet !== 'busybox');
  const layer: LayerEntry[] = [
    [{ name: 'bin/', type: 'directory', mode: 0o755 }],
    [{ name: 'bin/busybox', mode: 0o755 }, await readFile(busybox)],
    ...applets.map((applet): LayerEntry => [{ name: `bin/${applet}`, type: 'symlink', linkname: 'busybox' }]),
    [{ name: 'etc/', type: 'directory', mode: 0o755 }],
    [{ name: 'etc/motd', mode: 0o644 }, Buffer.from(`${motd}\n`)],
  ];
  return writeLayout(
    folder,
    [layer],
    { Env: ['PATH=/bin', 'FROM_IMAGE=yes'], Cmd: ['cat', '/etc/motd'] },
    tag,
  );
}

/** Writes an OCI image layout whose layers hold exactly `layers`. */
export async function writeLayout(
  folder: string,
  layers: LayerEntry[][],
  config: Record<string, unknown>,
  tag = 'latest',
): Promise<BuiltLayout> {
  await mkdir(join(folder, 'blobs', 'sha256'), { recursive: true });
  const blob = async (bytes: Buffer): Promise<{ digest: string; size: number }> => {
    const hex = createHash('sha256').update(bytes).digest('hex');
    await writeFile(join(folder, 'blobs', 'sha256', hex), bytes);
    return { digest: `sha256:${hex}`, size: bytes.length };
  };
  const tars = await Promise.all(layers.map(tarOf));
  const configBlob = await blob(
    Buffer.from(
      JSON.stringify({
        architecture: process.arch === 'x64' ? 'amd64' : process.arch,
        os: 'linux',
        config,
        rootfs: {
          type: 'layers',
          diff_ids: tars.map((tar) => `sha256:${createHash('sha256').update(tar).digest('hex')}`),
        },
      }),
    ),
  );
  const layerBlobs = [];
  for (const tar of tars)
    layerBlobs.push({
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      ...(await blob(gzipSync(tar, { level: 1 }))),
    });
  const manifest = await blob(
    Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...configBlob },
        layers: layerBlobs,
      }),
    ),
  );
  const entry = {
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    ...manifest,
    annotations: { 'org.opencontainers.image.ref.name': tag },
  };
  await writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
  return {
    digest: manifest.digest,
    configDigest: configBlob.digest,
    layerDigests: layerBlobs.map((layer) => layer.digest),
  };
}

async function tarOf(entries: LayerEntry[]): Promise<Buffer> {
  const tar = pack();
  for (const [header, bytes] of entries)
    tar.entry({ mtime: new Date(0), ...header }, bytes ?? Buffer.alloc(0));
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
