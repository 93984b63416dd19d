import { createHash } from 'node:crypto';
import { z } from 'zod';
import { Failure, ok, type Route } from './http.ts';

/** What stands for a GVMI: a small JSON file that is fetched, hashed and obeyed. Its programs are those of this machine. */
export interface ImageScript {
  tag: string;
  /** Where files may be brought to and from, as VOLUME says in a Dockerfile. */
  volumes?: string[];
  /** Programs that it does not have, such as `timeout`. */
  without?: string[];
}

export interface Image {
  tag: string;
  sha3: string;
  url: string;
}

const content = z.object({ volumes: z.array(z.string()), without: z.array(z.string()) });
export type ImageContent = z.infer<typeof content>;

export interface Images {
  routes: Route[];
  list(): Image[];
  /** The image behind a demand's task package `hash:sha3:{sha3}:{url}`, fetched by `fetched` from elsewhere. */
  load(taskPackage: unknown, fetched: (url: string) => Promise<Buffer>): Promise<ImageContent>;
}

const VOLUMES = ['/golem/work', '/golem/input', '/golem/output', '/beacon'];

export function createImages(scripts: ImageScript[], base: () => string): Images {
  const files = scripts.map(({ tag, volumes = VOLUMES, without = [] }) => {
    const bytes = Buffer.from(JSON.stringify({ tag, volumes, without }));
    return { tag, bytes, sha3: sha3Of(bytes) };
  });
  const urlOf = (sha3: string) => `${base()}/images/${sha3}.gvmi`;
  return {
    routes: [
      {
        method: 'GET',
        pattern: '/v1/image/info',
        open: true,
        handler: ({ query }) => {
          const found = files.find(({ tag, sha3 }) => tag === query.get('tag') || sha3 === query.get('hash'));
          if (found === undefined) throw new Failure(404, 'Image not found');
          const { sha3 } = found;
          return ok({ sha3, http: urlOf(sha3), https: urlOf(sha3) });
        },
      },
      {
        method: 'GET',
        pattern: '/images/{sha3}.gvmi',
        open: true,
        handler: ({ params }) => {
          const found = files.find(({ sha3 }) => sha3 === params.sha3);
          if (found === undefined) throw new Failure(404, 'not found');
          return { status: 200, bytes: found.bytes, type: 'application/octet-stream' };
        },
      },
    ],
    list: () => files.map(({ tag, sha3 }) => ({ tag, sha3, url: urlOf(sha3) })),
    async load(taskPackage, fetched) {
      const found = /^hash:sha3:([0-9a-f]+):(.+)$/.exec(typeof taskPackage === 'string' ? taskPackage : '');
      if (found === null) throw new Error('Transfer error: invalid task package');
      const [, sha3 = '', url = ''] = found;
      const own = files.find((file) => url === urlOf(file.sha3));
      const bytes = own?.bytes ?? (await fetched(url));
      if (sha3Of(bytes) !== sha3) throw new Error(`Transfer error: Hash mismatch: expected ${sha3}`);
      const parsed = content.safeParse(JSON.parse(bytes.toString('utf8')));
      if (!parsed.success) throw new Error('Deploy error: not an image of this emulator');
      return parsed.data;
    },
  };
}

const sha3Of = (bytes: Buffer) => createHash('sha3-224').update(bytes).digest('hex');
