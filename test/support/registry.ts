import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

export interface Registry extends AsyncDisposable {
  /** `host:port`. */
  address: string;
  /** From now on `name:tag` is the manifest of a layout; blobs of every layout that was ever put stay. */
  put(name: string, tag: string, layout: string, manifest: string): void;
  /** What was asked for, in order: `manifests/latest`, `manifests/sha256:…`, `blobs/sha256:…`. */
  asked: string[];
}

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

/** A registry on loopback with as much of the distribution protocol as a pull needs. */
export async function startRegistry(): Promise<Registry> {
  const tags = new Map<string, string>();
  const layouts = new Set<string>();
  const asked: string[] = [];
  const fileOf = (digest: string): string | undefined =>
    [...layouts]
      .map((layout) => join(layout, 'blobs', 'sha256', digest.replace('sha256:', '')))
      .find((path) => existsSync(path));
  const server = createServer((request, answer) => {
    const match = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(request.url ?? '');
    if (match === null) return void answer.writeHead(request.url === '/v2/' ? 200 : 404).end();
    const [, name, kind, reference] = match as unknown as [string, string, string, string];
    if (request.method === 'GET') asked.push(`${kind}/${reference}`);
    const digest = kind === 'manifests' ? (tags.get(`${name}:${reference}`) ?? reference) : reference;
    const file = fileOf(digest);
    if (file === undefined) return void answer.writeHead(404).end();
    answer.writeHead(200, {
      'content-type': kind === 'manifests' ? MANIFEST : 'application/octet-stream',
      'content-length': readFileSync(file).length,
      'docker-content-digest': digest,
    });
    if (request.method === 'HEAD') answer.end();
    else createReadStream(file).pipe(answer);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    put(name, tag, layout, manifest) {
      layouts.add(layout);
      tags.set(`${name}:${tag}`, manifest);
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
