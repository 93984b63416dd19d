import { setTimeout as delay } from 'node:timers/promises';

/** For how long several are thought to ask after two did at once. */
const CROWD_MS = 100;

/**
 * One read for all who ask at about the same time. Whoever asks is answered by a read that began after he did, so he never
 * learns less than he would by one of his own. One runs at a time; while several ask at once, they begin at least `restMs`
 * apart. Somebody who asks again and again with nobody beside him never waits for that.
 */
export function createSharedRead<Asked, Told>(
  read: (asked: readonly Asked[]) => Promise<Told>,
  restMs: number,
): (asked: Asked) => Promise<Told> {
  let gathering: { asked: Asked[]; told: Promise<Told> } | undefined;
  let running: Promise<unknown> = Promise.resolve();
  let began = -Infinity;
  let crowdUntil = -Infinity;

  function gather() {
    const asked: Asked[] = [];
    const before = running;
    const told = (async () => {
      await before;
      const now = performance.now();
      if (asked.length > 1) crowdUntil = now + CROWD_MS;
      const restsMs = began + restMs - now;
      if (restsMs > 0 && now < crowdUntil) await delay(restsMs);
      gathering = undefined;
      began = performance.now();
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
