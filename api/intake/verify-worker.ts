import { parentPort } from 'node:worker_threads';
import { nodeVerifiers } from '../../attestation/keys/node-verifiers.ts';
import { parseStrictJson } from '../../domain/json/parse.ts';
import { SigningError } from '../../domain/signing/error.ts';
import { verifySpec, type VerifiedSpec } from '../../domain/signing/verify.ts';

/** The thread in which large specs are verified: up to nine canonical forms of 1 MiB would hold the event loop up. */
export interface VerifyRequest {
  id: number;
  raw: Uint8Array;
}
export type VerifyAnswer =
  | { id: number; verified: VerifiedSpec }
  | { id: number; refused: Pick<SigningError, 'code' | 'message' | 'details'> }
  | { id: number; broken: string };

parentPort?.on('message', ({ id, raw }: VerifyRequest) => {
  parentPort?.postMessage(answer(id, raw));
});

function answer(id: number, raw: Uint8Array): VerifyAnswer {
  try {
    return { id, verified: verifySpec(parseStrictJson(raw), nodeVerifiers.verifyEd25519) };
  } catch (error) {
    if (!(error instanceof SigningError)) return { id, broken: String(error) };
    return { id, refused: { code: error.code, message: error.message, details: error.details } };
  }
}
