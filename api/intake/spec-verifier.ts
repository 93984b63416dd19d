import { ApiError } from '../errors.ts';
import { readSpec, verifyBody, type SpecFacts, type VerifiedBody } from './read-spec.ts';
import { startSpecThread, type SpecThread } from './spec-thread.ts';

/** A large body that waits for the thread. */
interface LargeBody {
  raw: Uint8Array;
  /** Bodies of one network wait for each other, those of others pass by. */
  network: string;
  /** Asked when its turn comes, before any work; throws to refuse. */
  begin(): void;
  /** Asked when it was read, before its signature is checked; throws to refuse. */
  admit(facts: SpecFacts): void;
  /** Told of what refused it after it was begun, before the next body's turn. */
  refused(error: unknown): void;
}

export interface CheckedBody {
  facts: SpecFacts;
  verified: VerifiedBody;
}

/**
 * Reads and verifies large specs in a thread, one after another, one of each network before the second of any. The
 * event loop only holds their bytes, the thread one tree.
 *
 *   waiting ──▶ begun ──▶ read ──▶ admitted ──▶ verified
 *                 └─────────┴─────────┴──▶ refused
 *
 * The thread starts with the first large spec and ends when none came for a while, which gives its memory back.
 */
export interface SpecVerifier extends AsyncDisposable {
  /** Throws ApiError. */
  check(body: LargeBody): Promise<CheckedBody>;
}

interface SpecVerifierOptions {
  /** The thread's compiled entry; null does everything in line, which is what running from sources does. */
  workerUrl?: URL | null;
  /** Bounds the work on one spec. */
  limitMs?: number;
  /** How long the thread waits for the next spec. */
  idleMs?: number;
}

interface Waiting extends LargeBody {
  resolve(checked: CheckedBody): void;
  reject(error: unknown): void;
}

/** Several times what the dearest spec takes (docs/performance.md, abuse). */
const LIMIT_MS = 10_000;
const IDLE_MS = 30_000;
const RETRY_AFTER_S = 2;

const COMPILED = import.meta.url.endsWith('.js') ? new URL('./verify-worker.js', import.meta.url) : null;

export function createSpecVerifier({
  workerUrl = COMPILED,
  limitMs = LIMIT_MS,
  idleMs = IDLE_MS,
}: SpecVerifierOptions = {}): SpecVerifier {
  /** By network; the first network is the next one served. */
  const waiting = new Map<string, Waiting[]>();
  let thread: SpecThread | undefined;
  let idle: NodeJS.Timeout | undefined;
  let working = Promise.resolve();
  let isWorking = false;
  let closed = false;

  function next(): Waiting | undefined {
    for (const [network, [first, ...rest]] of waiting) {
      waiting.delete(network);
      if (rest.length > 0) waiting.set(network, rest);
      return first;
    }
    return undefined;
  }

  async function work(): Promise<void> {
    isWorking = true;
    clearTimeout(idle);
    for (let body = next(); body !== undefined; body = next()) {
      let begun = false;
      try {
        if (closed) throw new ApiError('unavailable');
        body.begin();
        begun = true;
        body.resolve(await (workerUrl === null ? checkHere(body) : checkThere(workerUrl, body)));
      } catch (error) {
        if (begun) body.refused(error);
        body.reject(error);
      }
    }
    // In the same turn as the last look at who waits.
    isWorking = false;
    if (!closed) idle = setTimeout(() => void endThread(new ApiError('unavailable')), idleMs).unref();
  }

  async function checkThere(url: URL, { raw, admit }: Waiting): Promise<CheckedBody> {
    if (thread === undefined || thread.ended) thread = startSpecThread(url);
    const late = setTimeout(
      () => void endThread(new ApiError('verification_timeout', { retryAfterS: RETRY_AFTER_S })),
      limitMs,
    );
    try {
      const facts = await thread.read(raw);
      admit(facts);
      return { facts, verified: await thread.verify() };
    } finally {
      clearTimeout(late);
    }
  }

  async function endThread(reason: ApiError): Promise<void> {
    await thread?.end(reason);
  }

  return {
    check: (body) =>
      new Promise((resolve, reject) => {
        const mine = { ...body, resolve, reject };
        const others = waiting.get(body.network);
        if (others === undefined) waiting.set(body.network, [mine]);
        else others.push(mine);
        if (!isWorking) working = work();
      }),
    async [Symbol.asyncDispose]() {
      closed = true;
      clearTimeout(idle);
      await endThread(new ApiError('unavailable'));
      await working;
    },
  };
}

async function checkHere({ raw, admit }: Waiting): Promise<CheckedBody> {
  const { node, facts } = readSpec(raw);
  admit(facts);
  return { facts, verified: await verifyBody(raw, node) };
}
