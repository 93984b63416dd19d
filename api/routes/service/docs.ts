import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { z } from 'zod';
import { ApiError } from '../../errors.ts';
import { PAGE, PAGE_CSP, PAGE_CSS, START_SCRIPT } from '../../openapi/page.ts';
import { stored, unchanged } from '../../openapi/route-schema.ts';
import type { RouteApp } from '../app-type.ts';
import { isKnown, nameOf } from '../conditional.ts';

const DOCUMENT_MAX_AGE_S = 60;
const OPEN = { permission: 'read', mutates: false } as const;
const HIDDEN = { config: OPEN, schema: { hide: true } } as const;

/** What the page loads: names below `/docs/`, types, and where they are. */
const SCRIPT = 'text/javascript; charset=utf-8';
const STYLE = 'text/css; charset=utf-8';
const ASSETS: Record<string, { type: string; read: () => Promise<string | Buffer> }> = {
  'swagger-ui-bundle.js': { type: SCRIPT, read: () => ofSwaggerUi('swagger-ui-bundle.js') },
  'swagger-ui.css': { type: STYLE, read: () => ofSwaggerUi('swagger-ui.css') },
  'start.js': { type: SCRIPT, read: async () => START_SCRIPT },
  'page.css': { type: STYLE, read: async () => PAGE_CSS },
};

interface Asset {
  /** Kept compressed: the script has 1.7 MB. */
  zipped: Buffer;
  name: string;
}

/** The OpenAPI document, a page to read it, and the way there from `/`. */
export function registerDocs(app: RouteApp): void {
  registerDocument(app);
  const assets = new Map<string, Promise<Asset>>();
  app.get('/', HIDDEN, async (_request, reply) => reply.redirect('/docs', 302));
  for (const url of ['/docs', '/docs/']) {
    app.get(url, HIDDEN, async (_request, reply) =>
      reply.type('text/html; charset=utf-8').header('content-security-policy', PAGE_CSP).send(PAGE),
    );
  }
  app.get(
    '/docs/:file',
    { ...HIDDEN, schema: { hide: true, params: z.object({ file: z.string() }) } },
    async (request, reply) => {
      const { file } = request.params;
      const known = Object.hasOwn(ASSETS, file) ? ASSETS[file] : undefined;
      if (known === undefined) throw new ApiError('not_found');
      if (!assets.has(file)) assets.set(file, zip(known.read));
      const { zipped, name } = await assets.get(file)!;
      reply.type(known.type).headers({ 'cache-control': 'no-cache', vary: 'Origin, Accept-Encoding' });
      if (isKnown(request, reply, name)) return reply.code(304).send();
      const takesGzip = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '');
      if (!takesGzip) return reply.send(await promisify(gunzip)(zipped));
      return reply.header('content-encoding', 'gzip').send(zipped);
    },
  );
}

function registerDocument(app: RouteApp): void {
  let document: { text: string; name: string } | undefined;
  app.get(
    '/openapi.json',
    {
      config: OPEN,
      schema: {
        operationId: 'getOpenApi',
        summary: 'This document; `/docs` shows it to people.',
        tags: ['service'],
        response: { 200: stored('application/json', 'OpenAPI 3.1.', z.looseObject({})), 304: unchanged },
        answerHeaders: { 200: ['ETag', 'Cache-Control'], 304: ['ETag', 'Cache-Control'] },
      },
    },
    async (request, reply) => {
      if (document === undefined) {
        const text = JSON.stringify(app.swagger());
        document = { text, name: nameOf(text) };
      }
      reply.header('cache-control', `max-age=${DOCUMENT_MAX_AGE_S}`);
      if (isKnown(request, reply, document.name)) return reply.code(304).send();
      return reply.type('application/json; charset=utf-8').send(document.text);
    },
  );
}

/** The package's plugin would serve a page that is not made for narrow screens; its folder is all that is used. */
function ofSwaggerUi(file: string): Promise<Buffer> {
  const manifest = createRequire(import.meta.url).resolve('@fastify/swagger-ui/package.json');
  return readFile(path.join(path.dirname(manifest), 'static', file));
}

async function zip(read: () => Promise<string | Buffer>): Promise<Asset> {
  const bytes = await read();
  return { zipped: await promisify(gzip)(bytes), name: nameOf(bytes) };
}
