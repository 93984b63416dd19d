import { z } from 'zod';
import { nodeSha256 } from '../../../attestation/keys/node-verifiers.ts';
import { signsAt } from '../../../attestation/log/signers.ts';
import { toBase64 } from '../../../domain/encoding.ts';
import { parseVkey } from '../../../domain/log/vkey.ts';
import { trustedRoot } from '../../../domain/receipt/trusted-root.ts';
import { readFreshness, readPolicy } from '../../../store/log-cosignatures.ts';
import { listClosedLogs } from '../../../store/log-close.ts';
import { readKeys, readReceiptSpkis } from '../../../store/log-keys.ts';
import { findLog as findOpenLog } from '../../../store/log-state.ts';
import type { Pool } from '../../../store/pool.ts';
import type { RouteApp } from '../app-type.ts';
import { logChoice, logPath, type LogFinder } from './log.ts';

const OPEN = { permission: 'read', mutates: false, anyOrigin: true } as const;
/** A key that is rotated overlaps with the one before for much longer. */
const MINUTE = 'public, max-age=60';

const PATHS = {
  checkpoint: '/checkpoint',
  tiles: '/tile/',
  keys: '/api/v1/transparency/keys',
  proof: '/api/v1/transparency/proof',
  consistency: '/api/v1/transparency/consistency',
  checkpoints: '/api/v1/transparency/checkpoints',
  entries: '/api/v1/transparency/entries',
} as const;

const document = z.object({
  log_id: z.string(),
  origin: z.string(),
  closed_at: z.iso
    .datetime()
    .nullable()
    .describe('Since then it is never signed any more; null while it grows.'),
  vkeys: z.array(z.string()).describe('Verifier keys of the newest checkpoint, the newest last.'),
  former_vkeys: z.array(z.string()).describe('Verifier keys of older checkpoints alone.'),
  receipt_keys: z
    .array(z.object({ key_id: z.string(), public_key: z.string().describe('PEM.'), ended: z.boolean() }))
    .describe('The keys that sign receipts (ECDSA P-256); `cosign` takes one with `--key`.'),
  trusted_root: z.looseObject({ mediaType: z.string() }).describe('For `cosign --trusted-root`.'),
  cosigner_vkey: z
    .string()
    .nullable()
    .describe(
      "The operator's own cosigner, whose line tells when the checkpoint was the newest; null without one.",
    ),
  policy: z.string().describe('Whose signatures a checkpoint needs (C2SP tlog-policy).'),
  minimum_index: z.int().describe('Entries from here on are served; none was ever removed.'),
  logs: z
    .array(
      z.object({
        log_id: z.string(),
        origin: z.string(),
        closed_at: z.iso.datetime().nullable(),
        path: z.string().describe('`/checkpoint` and `/tile/` below it are those of this log, for ever.'),
      }),
    )
    .describe('Every log of this service: the one that grows, then those that were closed, the last first.'),
  paths: z.object(Object.fromEntries(Object.keys(PATHS).map((name) => [name, z.string()]))),
});

/** What a stranger has to know to check this log with his own tools; pin it once, and not from the server that you check. */
export function registerWellKnown(app: RouteApp, pool: Pool, findLog: LogFinder): void {
  app.get(
    '/.well-known/beacon-log.json',
    {
      config: OPEN,
      schema: {
        operationId: 'getLogDescription',
        summary: "The log's origin, keys, trusted root and policy.",
        description:
          'Every web page may read it. It is a claim of this server: compare it with what was published.',
        tags: ['transparency'],
        querystring: z.object(logChoice),
        response: { 200: document.describe('What checking the log with other tools needs.') },
        answerHeaders: { 200: ['Cache-Control'] },
        errors: ['log_not_found', 'validation_error'],
      },
    },
    async (request, reply) => {
      const { head, reader } = await findLog(request.query.log_id);
      const size = (await reader.newestCheckpoint())?.size ?? 0;
      const keys = await readKeys(pool, head.logId);
      const spkis = await readReceiptSpkis(
        pool,
        keys.map(({ keyId }) => keyId),
      );
      const logKeys = keys.filter(({ purpose }) => purpose === 'log');
      const shown = logKeys.filter(
        ({ hasStart, startIndex }) => !hasStart || (startIndex !== null && startIndex < size),
      );
      const vkeys = shown.filter((key) => signsAt(key, size)).map(({ vkey }) => vkey!);
      const all = shown.map(({ vkey }) => vkey!);
      const [freshness, policy, logs] = await Promise.all([
        readFreshness(pool),
        readPolicy(pool, head.logId),
        listLogs(pool),
      ]);
      const closedAt = logs.find(({ log_id: id }) => id === head.logId)?.closed_at ?? null;
      reply.header('cache-control', MINUTE);
      return {
        log_id: head.logId,
        origin: head.origin,
        closed_at: closedAt,
        vkeys,
        former_vkeys: all.filter((vkey) => !vkeys.includes(vkey)),
        receipt_keys: keys
          .filter(({ purpose, keyId }) => purpose === 'receipt' && spkis.has(keyId))
          .map(({ keyId, ending }) => ({ key_id: keyId, public_key: pem(spkis.get(keyId)!), ended: ending })),
        trusted_root: trustedRoot(
          all.map((vkey) => parseVkey(vkey, nodeSha256)),
          nodeSha256,
        ),
        cosigner_vkey: closedAt === null ? (freshness?.vkey ?? null) : null,
        policy: policyOf(vkeys, policy),
        minimum_index: 0,
        logs,
        paths: pathsOf(request.query.log_id),
      };
    },
  );
}

async function listLogs(pool: Pool) {
  const [open, closed] = await Promise.all([findOpenLog(pool), listClosedLogs(pool)]);
  const all = [...(open === undefined ? [] : [{ ...open, closedAt: null }]), ...closed];
  return all.map(({ logId, origin, closedAt }) => ({
    log_id: logId,
    origin,
    closed_at: closedAt?.toISOString() ?? null,
    path: logPath(logId),
  }));
}

/** Of the log that was asked for by its id: files below its own path, the rest by a parameter. */
function pathsOf(logId: string | undefined): Record<string, string> {
  if (logId === undefined) return PATHS;
  return Object.fromEntries(
    Object.entries(PATHS).map(([name, path]) => [
      name,
      path.startsWith('/api/') ? `${path}?log_id=${logId}` : `${logPath(logId)}${path}`,
    ]),
  );
}

/** What the operator configured, for the log as it is signed now; without witnesses the log's own signature is enough. */
function policyOf(vkeys: readonly string[], configured: string | null): string {
  const logs = vkeys.map((vkey) => `log ${vkey}\n`).join('');
  if (configured === null) return `${logs}quorum none\n`;
  const others = configured.split('\n').filter((line) => !/^\s*log\s/.test(line));
  return `${logs}${others.join('\n').trimEnd()}\n`;
}

function pem(spki: Uint8Array): string {
  const lines = toBase64(spki).match(/.{1,64}/g) ?? [];
  return `-----BEGIN PUBLIC KEY-----\n${lines.join('\n')}\n-----END PUBLIC KEY-----\n`;
}
