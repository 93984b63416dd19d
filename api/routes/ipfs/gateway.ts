import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { base36 } from 'multiformats/bases/base36';
import { base58btc } from 'multiformats/bases/base58';
import { base32 } from 'multiformats/bases/base32';
import { CID } from 'multiformats/cid';
import { z } from 'zod';
import { BlocksError } from '../../../attestation/blocks/error.ts';
import { carOf } from '../../../attestation/blocks/car.ts';
import { identityBytes } from '../../../attestation/blocks/read-block.ts';
import { resolvePath, type Resolved } from '../../../attestation/blocks/resolve.ts';
import { selectBlocks, type Selection } from '../../../attestation/blocks/walk.ts';
import type { BusinessEvents } from '../../../observability/events.ts';
import { findCid } from '../../../store/log-reads.ts';
import type { Pool } from '../../../store/pool.ts';
import { ApiError } from '../../errors.ts';
import { storedBytes, unchanged } from '../../openapi/route-schema.ts';
import type { RouteApp } from '../app-type.ts';
import { isKnown } from '../conditional.ts';
import { asDownload } from '../download.ts';
import { gone, sendPieces } from '../streamed.ts';
import { createBundleTurns } from '../transparency/bundle-turns.ts';
import { refuseErasedCid } from '../erased.ts';
import { viewerOf } from '../viewer.ts';
import { negotiate, type GatewayQuery } from './negotiate.ts';

interface GatewayDeps {
  pool: Pool;
  events: Pick<BusinessEvents, 'blockDamaged' | 'gatewayAnswered'>;
}

/** As the gateway specification asks for everything under /ipfs. */
const IMMUTABLE = 'public, max-age=29030400, immutable';
const PRIVATE = 'private, no-cache';
const RAW_TYPE = 'application/vnd.ipld.raw';
const CAR_TYPE = 'application/vnd.ipld.car';
const HEADERS = ['ETag', 'Cache-Control', 'Content-Disposition', 'X-Ipfs-Path', 'X-Ipfs-Roots'] as const;
/** Longer CIDs hold their bytes in themselves, or are none. */
const MAX_CID_LENGTH = 256;
const anyBase = base32.decoder.or(base58btc.decoder).or(base36.decoder);

const query = z.object({
  format: z.string().optional().describe('`raw` or `car`; decides before `Accept`.'),
  'dag-scope': z.string().optional().describe('Of a CAR: `block`, `entity` or `all` (default).'),
  'entity-bytes': z
    .string()
    .max(64)
    .optional()
    .describe('Of a CAR: `from:to` of a file, both included, `*` is its end.'),
  'car-version': z.string().optional().describe('`1`.'),
  'car-order': z.string().optional().describe('`dfs` (what is sent) or `unk`.'),
  'car-dups': z.string().optional().describe('`y`: blocks that occur again are sent again.'),
  filename: z.string().max(255).optional().describe('Under which it is to be saved.'),
});

interface Asked {
  request: FastifyRequest;
  reply: FastifyReply;
  /** As it was written. */
  name: string;
  path: string;
  query: GatewayQuery & { filename?: string | undefined };
}

/** `/ipfs/{cid}[/path]` for clients that check what they get (IPFS trustless gateway specification). */
export function registerGateway(app: RouteApp, { pool, events }: GatewayDeps): void {
  const turns = createBundleTurns();

  async function answer({ request, reply, name, path, query }: Asked): Promise<FastifyReply> {
    const cid = parseCid(name);
    const wanted = negotiate(query, request.headers.accept);
    const names = path.split('/').filter((part) => part !== '');
    if (wanted.format === 'raw' && names.length > 0)
      throw new ApiError('ipfs_request_invalid', { message: 'a raw block has no path; ask for format=car' });
    const onlyIfCached = /\bonly-if-cached\b/i.test(request.headers['cache-control'] ?? '');
    const absent = onlyIfCached ? 'ipfs_not_cached' : 'ipfs_not_found';
    const found = await isVisible(request, cid);
    const resolved = found ? await resolvePath(pool, cid, names).catch(blocksProblem) : undefined;
    if (resolved === undefined) throw new ApiError(absent);
    tell(request, reply, { cid: name, path: names.join('/'), resolved });
    return wanted.format === 'raw'
      ? sendRaw({ request, reply, name, query }, resolved)
      : sendCar({ request, reply, name, query, path: names.join('/') }, resolved, wanted);
  }

  async function isVisible(request: FastifyRequest, cid: CID): Promise<boolean> {
    if (identityBytes(cid) !== undefined) return true;
    const text = cid.toV1().toString();
    const known = await findCid(pool, text, viewerOf(request.principal));
    if (known === undefined) await refuseErasedCid(pool, text, viewerOf(request.principal));
    return known !== undefined;
  }

  function sendRaw(
    { request, reply, name, query }: Omit<Asked, 'path'>,
    { terminus }: Resolved,
  ): FastifyReply {
    asDownload(reply, query.filename ?? `${name}.bin`);
    reply.type(RAW_TYPE);
    if (isKnown(request, reply, `${name}.raw`)) return reply.code(304).send();
    return reply.send(Buffer.from(terminus.bytes));
  }

  async function sendCar(
    { request, reply, name, path, query }: Asked,
    resolved: Resolved,
    selection: Selection,
  ): Promise<FastifyReply> {
    const { scope, bytes, duplicates } = selection;
    asDownload(reply, query.filename ?? `${name}.car`);
    reply.type(`${CAR_TYPE}; version=1; order=dfs; dups=${duplicates ? 'y' : 'n'}`);
    const variant = createHash('sha256')
      .update(JSON.stringify([path, duplicates, bytes ?? null]))
      .digest('hex')
      .slice(0, 16);
    if (isKnown(request, reply, `${name}.car.${scope}.${variant}`)) return reply.code(304).send();
    const signal = gone(reply);
    const blocks = await turns
      .start(signal, async () => selectBlocks(pool, resolved, selection))
      .catch(blocksProblem);
    const car = carOf([resolved.terminus.cid], turns.each(signal, blocks));
    return sendPieces(request, reply, car, events);
  }

  const shared = {
    onResponse: async (_request: FastifyRequest, reply: FastifyReply) =>
      events.gatewayAnswered({ seconds: reply.elapsedTime / 1_000 }),
    config: { permission: 'read', mutates: false, anyOrigin: true, ownersToo: true },
    schema: {
      description:
        'Only what can be checked against its CID: blocks and CARs. Files as they are have `/api/v1/transparency/bundles/{cid}`. Every web page may read it.',
      tags: ['transparency'],
      querystring: query,
      response: {
        200: {
          description: 'A block or a CAR.',
          content: { ...storedBytes('', RAW_TYPE).content, ...storedBytes('', CAR_TYPE).content },
        },
        304: unchanged,
      },
      answerHeaders: { 200: HEADERS, 304: HEADERS },
      errors: [
        'validation_error',
        'ipfs_request_invalid',
        'ipfs_format_missing',
        'ipfs_format_unsupported',
        'ipfs_not_found',
        'erased',
        'ipfs_not_cached',
        'block_damaged',
        'bundles_busy',
      ],
    },
  } as const;
  const cid = z.string().describe('Any base, version 0 or 1.');
  app.get(
    '/ipfs/:cid',
    {
      config: shared.config,
      onResponse: shared.onResponse,
      schema: {
        ...shared.schema,
        operationId: 'getIpfs',
        summary: 'The block or the tree that a CID names (IPFS trustless gateway).',
        params: z.object({ cid }),
      },
    },
    async (request, reply) =>
      answer({ request, reply, name: request.params.cid, path: '', query: request.query }),
  );
  app.get(
    '/ipfs/:cid/*',
    {
      config: shared.config,
      onResponse: shared.onResponse,
      schema: {
        ...shared.schema,
        operationId: 'getIpfsPath',
        summary: 'What a path leads to below a CID, as a CAR with the blocks of the way there.',
        params: z.object({ cid, '*': z.string().describe('Names in UnixFS directories.') }),
      },
    },
    async (request, reply) =>
      answer({ request, reply, name: request.params.cid, path: request.params['*'], query: request.query }),
  );
}

function parseCid(text: string): CID {
  try {
    if (text.length > MAX_CID_LENGTH) throw new RangeError('too long');
    return CID.parse(text, text.startsWith('Qm') ? base58btc : anyBase);
  } catch (error) {
    throw new ApiError('ipfs_request_invalid', {
      message: 'this is not a CID',
      details: { field: 'cid' },
      cause: error,
    });
  }
}

function tell(
  request: FastifyRequest,
  reply: FastifyReply,
  { cid, path, resolved }: { cid: string; path: string; resolved: Resolved },
): void {
  reply.headers({
    'cache-control': request.principal.kind === 'anonymous' ? IMMUTABLE : PRIVATE,
    'x-ipfs-path': encodeURI(`/ipfs/${cid}${path === '' ? '' : `/${path}`}`),
    'x-ipfs-roots': resolved.roots.map(String).join(','),
    vary: 'Accept',
  });
}

function blocksProblem(error: unknown): never {
  if (!(error instanceof BlocksError)) throw error;
  switch (error.code) {
    case 'range_outside':
      throw new ApiError('ipfs_request_invalid', {
        message: `entity-bytes: ${error.message}`,
        details: { field: 'entity-bytes' },
      });
    case 'path_not_found':
    case 'block_missing':
      throw new ApiError('ipfs_not_found', { message: error.message });
  }
}
