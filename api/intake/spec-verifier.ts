import { Worker } from 'node:worker_threads';
import { nodeVerifiers } from '../../attestation/keys/node-verifiers.ts';
import type { JsonNode } from '../../domain/json/node.ts';
import { LIMITS } from '../../domain/limits.ts';
import { SigningError } from '../../domain/signing/error.ts';
import { verifySpec, type VerifiedSpec } from '../../domain/signing/verify.ts';
import { ApiError } from '../errors.ts';
import type { VerifyAnswer, VerifyRequest } from './verify-worker.ts';

/** Verifies specs: small ones at once, large ones one after another in a thread. Throws SigningError or ApiError. */
export interface SpecVerifier extends AsyncDisposable {
  verify(raw: Uint8Array, node: JsonNode): Promise<VerifiedSpec>;
}

interface SpecVerifierOptions {
  /** The thread's compiled entry; null verifies everything in line, which is what running from sources does. */
  workerUrl?: URL | null;
}

/** Large specs that may be with the thread or wait for it; more are told to come back. */
const MAX_LARGE = 16;
const RETRY_AFTER_S = 2;

const COMPILED = import.meta.url.endsWith('.js') ? new URL('./verify-worker.js', import.meta.url) : null;

interface Waiting {
  resolve(verified: VerifiedSpec): void;
  reject(error: Error): void;
}

export function createSpecVerifier({ workerUrl = COMPILED }: SpecVerifierOptions = {}): SpecVerifier {
  const waiting = new Map<number, Waiting>();
  let worker: Worker | undefined;
  let lastId = 0;

  function start(url: URL): Worker {
    const started = new Worker(url);
    // A process must not stay alive for a thread that only waits.
    started.unref();
    started.on('message', (answer: VerifyAnswer) => {
      const asked = waiting.get(answer.id);
      waiting.delete(answer.id);
      if ('verified' in answer) asked?.resolve(answer.verified);
      else if ('broken' in answer) asked?.reject(new Error(answer.broken));
      else
        asked?.reject(new SigningError(answer.refused.code, answer.refused.message, answer.refused.details));
    });
    // The next large spec starts another one.
    started.on('error', (cause) => lose(started, cause));
    started.on('exit', () => lose(started, new Error('the verifying thread ended')));
    return started;
  }

  function lose(lost: Worker, cause: Error): void {
    if (worker !== lost) return;
    worker = undefined;
    for (const { reject } of waiting.values()) reject(new ApiError('internal_error', { cause }));
    waiting.clear();
  }

  return {
    async verify(raw, node) {
      if (workerUrl === null || raw.length <= LIMITS.specVerifiedInlineBytes) {
        return verifySpec(node, nodeVerifiers.verifyEd25519);
      }
      if (waiting.size >= MAX_LARGE) throw new ApiError('intake_busy', { retryAfterS: RETRY_AFTER_S });
      worker ??= start(workerUrl);
      const id = ++lastId;
      const request: VerifyRequest = { id, raw };
      return new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject });
        worker?.postMessage(request);
      });
    },
    async [Symbol.asyncDispose]() {
      await worker?.terminate();
    },
  };
}
