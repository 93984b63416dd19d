import { expect, test } from 'vitest';
import { createLargeBodies } from './large-bodies.ts';

test('there is room for so many large bodies, and for so many of one network', () => {
  const bodies = createLargeBodies({ total: 3, perNetwork: 2 });
  const first = bodies.take('a');
  expect(first).toBeDefined();
  expect(bodies.take('a')).toBeDefined();
  expect(bodies.take('a')).toBeUndefined();
  expect(bodies.take('b')).toBeDefined();
  expect(bodies.take('c')).toBeUndefined();
  first!.release();
  first!.release();
  expect(bodies.take('c')).toBeDefined();
  expect(bodies.take('a')).toBeUndefined();
});
