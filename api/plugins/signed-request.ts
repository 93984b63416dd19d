import type { FastifyRequest } from 'fastify';
import { nodeVerifiers } from '../../attestation/keys/node-verifiers.ts';
import { SigningError } from '../../domain/signing/error.ts';
import { verifyRequest, type RequestAction } from '../../domain/signing/request.ts';
import { ApiError } from '../errors.ts';
import { keyPrincipal, type Principal } from '../principal.ts';
import { readJson } from './body.ts';

/** Who asks for a change of a job, and the nonce to spend with it where a signature asks. */
interface Asker {
  principal: Principal;
  nonce?: { owner: string; value: string };
}

/**
 * Resolves who asks for `action`: an operator by his token, else whoever signed the body. Whether that key owns the job
 * is asked after the job was found.
 */
export function whoAsks(request: FastifyRequest, subject: { action: RequestAction; jobId: string }): Asker {
  if (request.principal.kind === 'operator') return { principal: request.principal };
  const body = readJson(request.body);
  if (body === undefined) throw new ApiError('unauthorized');
  const publicKey =
    typeof body === 'object' && body !== null ? (body as Record<string, unknown>).public_key : undefined;
  try {
    const { nonce } = verifyRequest(
      body,
      { ...subject, publicKey: typeof publicKey === 'string' ? publicKey : '' },
      Date.now(),
      nodeVerifiers.verifyEd25519,
    );
    return { principal: keyPrincipal(String(publicKey)), nonce: { owner: String(publicKey), value: nonce } };
  } catch (error) {
    if (!(error instanceof SigningError)) throw error;
    throw new ApiError('invalid_signed_request', {
      message: `the signed request is not valid: ${error.message}`,
      details: { ...error.details, reason: error.details.reason ?? error.code },
    });
  }
}
