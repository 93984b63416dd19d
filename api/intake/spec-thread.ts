import { Worker, type ResourceLimits } from 'node:worker_threads';
import { ApiError } from '../errors.ts';
import type { SpecFacts, VerifiedBody } from './read-spec.ts';
import type { ThreadAnswer, ThreadQuestion } from './verify-worker.ts';

/**
 * Asked one question at a time; dead for good once it ended. Questions are answered with an ApiError where the thread
 * refuses, `internal_error` when it breaks or ends.
 */
export interface SpecThread {
  readonly ended: boolean;
  read(raw: Uint8Array): Promise<SpecFacts>;
  /** Of what was read last. */
  verify(): Promise<VerifiedBody>;
  /** Stops it at once; a question under way is answered with `reason`. */
  end(reason: ApiError): Promise<void>;
}

/** The dearest 1 MiB that was found needs between 128 and 192 MiB (docs/performance.md, abuse). */
const RESOURCES: ResourceLimits = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 32 };

export function startSpecThread(url: URL): SpecThread {
  const worker = new Worker(url, { resourceLimits: RESOURCES });
  // A process must not stay alive for a thread that only waits.
  worker.unref();
  let ended = false;
  let asked: { resolve(answer: ThreadAnswer): void; reject(error: ApiError): void } | undefined;

  function lose(reason: ApiError): void {
    ended = true;
    asked?.reject(reason);
    asked = undefined;
  }
  worker.on('error', (cause) => lose(new ApiError('internal_error', { cause })));
  worker.on('exit', () => lose(broken('it ended')));
  worker.on('message', (answer: ThreadAnswer) => {
    const { resolve, reject } = asked ?? {};
    asked = undefined;
    if ('broken' in answer) reject?.(broken(answer.broken));
    else if ('refused' in answer) {
      const { code, message, details } = answer.refused;
      reject?.(new ApiError(code, { message, ...(details && { details }) }));
    } else resolve?.(answer);
  });
  const ask = (question: ThreadQuestion): Promise<ThreadAnswer> =>
    new Promise((resolve, reject) => {
      asked = { resolve, reject };
      worker.postMessage(question);
    });

  return {
    get ended() {
      return ended;
    },
    async read(raw) {
      const answer = await ask({ read: raw });
      if ('facts' in answer) return answer.facts;
      throw broken('read, it answered something else');
    },
    async verify() {
      const answer = await ask({ verify: true });
      if ('verified' in answer) return answer.verified;
      throw broken('verify, it answered something else');
    },
    async end(reason) {
      lose(reason);
      await worker.terminate();
    },
  };
}

function broken(what: string): ApiError {
  return new ApiError('internal_error', { cause: new Error(`the verifying thread: ${what}`) });
}
