/** The IPFS Pinning Service API (1.0): POST and GET /pins with a bearer token. The service fetches the tree by itself. */
import { z } from 'zod';
import { call, parsed } from './call.ts';
import { PublishError, type Facts, type PublishTarget, type Tree } from './target.ts';

export interface PinningServiceOptions {
  name: string;
  /** Base of its API, `https://pins.example/psa`. */
  endpoint: string;
  token: string;
  /** Where it may fetch from: addresses of a node that has the tree. */
  origins(signal: AbortSignal): Promise<string[]>;
}

const CALL_MS = 30_000;
/** The API takes at most 20. */
const MAX_ORIGINS = 20;

const pinStatus = z.object({
  requestid: z.string().min(1),
  status: z.enum(['queued', 'pinning', 'pinned', 'failed']),
  pin: z.object({ cid: z.string() }),
  info: z.record(z.string(), z.unknown()).nullish(),
});
type PinStatus = z.output<typeof pinStatus>;
const pinList = z.object({ results: z.array(pinStatus) });
const problem = z.object({ error: z.object({ reason: z.string(), details: z.string().optional() }) });

export function createPinningService({
  name,
  endpoint,
  token,
  origins,
}: PinningServiceOptions): PublishTarget {
  const ask = async (
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    signal: AbortSignal,
    body?: object,
  ): Promise<{ status: number; json: unknown }> => {
    const { status, text } = await call(
      new URL(`${endpoint.replace(/\/$/, '')}/${path}`),
      {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      },
      { timeoutMs: CALL_MS, signal },
    );
    const json = parsed(text);
    if (status >= 400 && status !== 404) {
      const told = problem.safeParse(json).data?.error;
      throw new PublishError('refused', `${name} answered ${status}: ${told?.details ?? told?.reason ?? ''}`);
    }
    return { status, json };
  };

  /** The request that there is for this tree: the one known by its id, else one found by the CID. */
  async function find({ cid, known }: Tree, signal: AbortSignal): Promise<PinStatus | undefined> {
    if (known.requestId !== undefined) {
      const { status, json } = await ask('GET', `pins/${encodeURIComponent(known.requestId)}`, signal);
      if (status !== 404) return understood(pinStatus, json);
    }
    const statuses = 'queued,pinning,pinned,failed';
    const { json } = await ask('GET', `pins?cid=${cid}&status=${statuses}`, signal);
    const { results } = understood(pinList, json);
    return results.find((one) => one.status === 'pinned') ?? results[0];
  }

  function understood<T>(schema: z.ZodType<T>, json: unknown): T {
    const read = schema.safeParse(json);
    if (read.success) return read.data;
    throw new PublishError('unreachable', `${name} does not answer as the Pinning Service API says`);
  }

  return {
    name,
    kind: 'pinning',
    async remove(cid, signal) {
      const statuses = 'queued,pinning,pinned,failed';
      const { json } = await ask('GET', `pins?cid=${cid}&status=${statuses}`, signal);
      for (const { requestid } of understood(pinList, json).results)
        await ask('DELETE', `pins/${encodeURIComponent(requestid)}`, signal);
    },
    async publish(tree: Tree, signal): Promise<Facts> {
      let found = await find(tree, signal);
      if (found?.status === 'failed') {
        await ask('DELETE', `pins/${encodeURIComponent(found.requestid)}`, signal);
        throw new PublishError('refused', `${name} could not pin it: ${JSON.stringify(found.info ?? {})}`);
      }
      if (found === undefined) {
        const pin = {
          cid: tree.cid,
          name: tree.name,
          origins: (await origins(signal)).slice(0, MAX_ORIGINS),
        };
        found = understood(pinStatus, (await ask('POST', 'pins', signal, pin)).json);
      }
      if (found.pin.cid !== tree.cid)
        throw new PublishError('refused', `${name} answers for ${found.pin.cid} instead of ${tree.cid}`);
      const pinned = found.status === 'pinned';
      return {
        stored: pinned,
        pinned,
        announced: null,
        requestId: found.requestid,
        ...(pinned ? {} : { note: found.status }),
      };
    },
  };
}
