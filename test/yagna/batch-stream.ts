import type { Batch } from './batch.ts';
import type { Call, Reply } from './http.ts';

/** Yagna's own interval between signs of life. */
const PING_MS = 15_000;

/** A batch as an event stream; like yagna's it stays open when all is said. */
export async function streamBatch(batch: Batch, { response, gone }: Call): Promise<Reply> {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  response.flushHeaders();
  let sent = 0;
  while (!gone.aborted) {
    for (const event of batch.events.slice(sent))
      response.write(`event: runtime\ndata: ${JSON.stringify(event)}\nid: ${(sent += 1)}\n\n`);
    const woken = sent < batch.events.length || (await batch.changed.sleep(PING_MS, gone));
    if (!woken) response.write(':ping\n\n');
  }
  return { answered: true };
}
