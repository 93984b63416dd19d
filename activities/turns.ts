/** At most `limit` pieces of work per key at once; the others wait in order. */
export function createTurns(limit: number): <T>(key: string, work: () => Promise<T>) => Promise<T> {
  const queues = new Map<string, { running: number; waiting: (() => void)[] }>();
  return async (key, work) => {
    const queue = queues.get(key) ?? { running: 0, waiting: [] };
    queues.set(key, queue);
    if (queue.running >= limit) await new Promise<void>((resolve) => queue.waiting.push(resolve));
    queue.running++;
    try {
      return await work();
    } finally {
      queue.running--;
      queue.waiting.shift()?.();
      if (queue.running === 0 && queue.waiting.length === 0) queues.delete(key);
    }
  };
}
