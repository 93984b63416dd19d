import { setTimeout as delay } from 'node:timers/promises';

/**
 * One read for all who ask at about the same time. Whoever asks is answered by a read that began after he did, so he never
 * learns less than he would by one of his own. One runs at a time, and they begin at least `restMs` apart.
 */
export function createSharedRead<Asked, Told>(
  read: (asked: readonly Asked[]) => Promise<Told>,
  restMs: number,
): (asked: Asked) => Promise<Told> {
  let gathering: { asked: Asked[]; told: Promise<Told> } | undefined;
  let running: Promise<unknown> = Promise.resolve();
  let mayBeginAt = 0;

  function gather() {
    const asked: Asked[] = [];
    const before = running;
    const told = (async () => {
      await before;
      const restsMs = mayBeginAt - performance.now();
      if (restsMs > 0) await delay(restsMs);
      gathering = undefined;
      mayBeginAt = performance.now() + restMs;
      return read(asked);
    })();
    running = told.catch(() => undefined);
    return { asked, told };
  }

  return (asked) => {
    gathering ??= gather();
    gathering.asked.push(asked);
    return gathering.told;
  };
}
