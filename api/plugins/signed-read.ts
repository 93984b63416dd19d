import type { FastifyInstance } from 'fastify';
import { nodeVerifiers } from '../../attestation/keys/node-verifiers.ts';
import { SigningError } from '../../domain/signing/error.ts';
import { READ_HEADER, verifyRead, type SignedRead } from '../../domain/signing/signed-read.ts';
import type { Pool } from '../../store/pool.ts';
import { spendNonce } from '../../store/principals.ts';
import { ApiError } from '../errors.ts';
import { keyPrincipal } from '../principal.ts';

/** What these requests may be refused with, beside the route's own. */
export const SIGNED_READ_ERRORS = ['invalid_signed_request', 'replay_detected'] as const;

/**
 * Lets the owner of private jobs read them: whoever signs a request by `Beacon-Signature` is that key for it (spec: core
 * §13). An operator needs no signature; where nothing is private the header is not looked at.
 */
export function registerSignedReads(app: FastifyInstance, pool: Pool): void {
  app.addHook('onRequest', async (request) => {
    const header = request.headers[READ_HEADER];
    if (header === undefined) return;
    const { config, schema } = request.routeOptions;
    const isPrivateHere =
      (config.anyOrigin !== true || config.ownersToo === true) && schema?.tags?.includes('service') !== true;
    if (config.permission !== 'read' || !isPrivateHere) return;
    if (request.principal.kind !== 'anonymous') return;
    const { key, nonce } = verified(String(header), request.method, request.raw.url ?? '');
    if (!(await spendNonce(pool, key, nonce))) {
      throw new ApiError('replay_detected', {
        message: 'replay detected: nonce already used',
        details: { reason: 'nonce_used' },
      });
    }
    request.principal = keyPrincipal(key);
  });
}

function verified(header: string, method: string, path: string): SignedRead {
  try {
    return verifyRead(header, { method, path }, Date.now(), nodeVerifiers.verifyEd25519);
  } catch (error) {
    if (!(error instanceof SigningError)) throw error;
    throw new ApiError('invalid_signed_request', {
      message: `the signed request is not valid: ${error.message}`,
      details: { ...error.details, reason: error.details.reason ?? error.code },
    });
  }
}
