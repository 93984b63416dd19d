import { z } from 'zod';

/** An event as it stands on the wire: the fields of its payload at the top level, and a cursor to go on from. */
const feedEvent = z.looseObject({
  type: z.string().max(128),
  cursor: z.string().max(256).optional(),
  job_id: z.string().nullish(),
  execution_id: z.string().nullish(),
  error_code: z.string().optional(),
});
export type FeedEvent = z.infer<typeof feedEvent>;

/** An event is at most 16 KiB; a line that never ends is no event. */
const LINE_CHARACTERS = 256 * 1024;

export class FrameError extends Error {}

/**
 * Cuts newline-delimited JSON into events, wherever the messages were cut. What is JSON but no event is passed over:
 * a newer service may say things that this version does not know.
 */
export function createFrameReader(): (chunk: string) => FeedEvent[] {
  let rest = '';
  return (chunk) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LINE_CHARACTERS) throw new FrameError('the feed sent a line without an end');
    return lines.flatMap((line) => {
      if (line.trim() === '') return [];
      let value: unknown;
      try {
        value = JSON.parse(line);
      } catch (cause) {
        throw new FrameError('the feed sent a line that is not JSON', { cause });
      }
      const event = feedEvent.safeParse(value);
      return event.success ? [event.data] : [];
    });
  };
}
