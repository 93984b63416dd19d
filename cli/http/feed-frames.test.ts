import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backoffMs } from './backoff.ts';
import { createFrameReader, FrameError } from './feed-frames.ts';

test('events are the same wherever the stream was cut', () => {
  const events = [{ type: 'a', job_id: 'j' }, { type: 'b', cursor: 'e.1', text: 'ü\n"' }, { type: 'c' }];
  const stream = events.map((event) => `${JSON.stringify(event)}\n`).join('');
  fc.assert(
    fc.property(fc.array(fc.nat({ max: stream.length })), (cuts) => {
      const take = createFrameReader();
      const at = [0, ...cuts.sort((a, b) => a - b), stream.length];
      const seen = at.slice(1).flatMap((end, n) => take(stream.slice(at[n], end)));
      expect(seen).toEqual(events);
    }),
  );
});

test('what is no event is passed over; what is no JSON, or has no end, breaks the connection', () => {
  const take = createFrameReader();
  expect(take('[]\n{"no":"type"}\n\n{"type":"x"}\n')).toEqual([{ type: 'x' }]);
  expect(() => take('nonsense\n')).toThrow(FrameError);
  expect(() => createFrameReader()('x'.repeat(300_000))).toThrow(FrameError);
});

test('waits longer after each failure, up to five seconds, never in step', () => {
  const first = [1, 2, 3, 4, 5, 6, 20].map((failures) => backoffMs(failures, () => 0.999999));
  expect(first.map(Math.round)).toEqual([250, 500, 1000, 2000, 4000, 5000, 5000]);
  fc.assert(
    fc.property(fc.nat({ max: 100 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (failures, random) => {
      const ms = backoffMs(failures, () => random);
      expect(ms).toBeGreaterThanOrEqual(125);
      expect(ms).toBeLessThanOrEqual(5_000);
    }),
  );
});
