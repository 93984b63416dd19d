import { judgeCheckpoint, originOf, parseAddCheckpoint } from '../../domain/log/add-checkpoint.ts';
import { cosign, type CosignatureSigner } from '../../domain/log/cosignature.ts';
import type { NoteKey } from '../../domain/log/vkey.ts';
import { nodeVerifiers } from '../keys/node-verifiers.ts';
import type { WitnessMemory } from './memory.ts';

export interface WitnessOptions {
  memory: WitnessMemory;
  signer: CosignatureSigner;
  /** The keys of the logs that it watches, asked with every request. */
  keys(): readonly NoteKey[] | Promise<readonly NoteKey[]>;
  /** Milliseconds since 1970; default the clock. */
  now?: () => number;
}

export interface Witness {
  /** Answers the lines of its cosignature to a request of tlog-witness; throws WitnessRefusal. */
  addCheckpoint(request: string): Promise<string>;
}

/**
 * Cosigns what continues what it cosigned before, and nothing else. It remembers before it answers, and does one request of
 * a log after the other, so that no two cosigned checkpoints of a log contradict each other, also not after a crash.
 */
export function createWitness({ memory, signer, keys, now = Date.now }: WitnessOptions): Witness {
  const turns = new Map<string, Promise<unknown>>();

  async function inTurn<T>(origin: string, work: () => Promise<T>): Promise<T> {
    const before = turns.get(origin) ?? Promise.resolve();
    const mine = before.then(work, work);
    // Whatever becomes of this request, the next one has its turn.
    const settled = mine.catch(() => undefined);
    turns.set(origin, settled);
    try {
      return await mine;
    } finally {
      if (turns.get(origin) === settled) turns.delete(origin);
    }
  }

  return {
    async addCheckpoint(text) {
      const request = parseAddCheckpoint(text);
      const origin = originOf(request);
      const trusted = await keys();
      return inTurn(origin, async () => {
        const cosigned = await memory.read(origin);
        const { text: body, head } = judgeCheckpoint(request, cosigned, trusted, nodeVerifiers);
        await memory.write(origin, head, request.checkpoint);
        return cosign(body, Math.floor(now() / 1_000), signer);
      });
    },
  };
}
