/** Room for one large body, from before it is read until it is answered. */
export interface Place {
  release(): void;
}

/** Large bodies that may be held at a time: being received, waiting for the thread or for the store (spec: core §3). */
const PLACES = 16;
/** One network cannot take all of them. */
const PLACES_PER_NETWORK = 8;

/** Bounds the memory that large bodies take; who finds no place is told to come back. */
export function createLargeBodies({ total = PLACES, perNetwork = PLACES_PER_NETWORK } = {}) {
  const held = new Map<string, number>();
  let all = 0;

  return {
    take(network: string): Place | undefined {
      const own = held.get(network) ?? 0;
      if (all >= total || own >= perNetwork) return undefined;
      held.set(network, own + 1);
      all++;
      let released = false;
      return {
        release() {
          if (released) return;
          released = true;
          all--;
          const left = held.get(network)! - 1;
          if (left === 0) held.delete(network);
          else held.set(network, left);
        },
      };
    },
  };
}

export type LargeBodies = ReturnType<typeof createLargeBodies>;
