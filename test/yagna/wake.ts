/** Lets long polls sleep until something happens, the time is up, or who asked has gone. */
export interface Wake {
  /** True when woken, false when the time was up or nobody waits any more. */
  sleep(ms: number, gone: AbortSignal): Promise<boolean>;
  wake(): void;
}

export function createWake(): Wake {
  const sleeping = new Set<(woken: boolean) => void>();
  return {
    sleep: (ms, gone) =>
      new Promise((resolve) => {
        if (ms <= 0 || gone.aborted) {
          resolve(false);
          return;
        }
        const end = (woken: boolean) => {
          sleeping.delete(end);
          clearTimeout(timer);
          gone.removeEventListener('abort', left);
          resolve(woken);
        };
        const left = () => end(false);
        const timer = setTimeout(end, ms, false);
        gone.addEventListener('abort', left, { once: true });
        sleeping.add(end);
      }),
    wake() {
      for (const end of [...sleeping]) end(true);
    },
  };
}

/** Sleeps until the condition holds; false when the time was up first. */
export async function until(
  condition: () => boolean,
  wake: Wake,
  ms: number,
  gone: AbortSignal,
): Promise<boolean> {
  const deadline = Date.now() + ms;
  while (!condition()) {
    const woken = await wake.sleep(deadline - Date.now(), gone);
    if (!woken) return condition();
  }
  return true;
}
