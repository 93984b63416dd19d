import { expect, test } from 'vitest';
import { createPendingWalk } from './pending-walk.ts';

test('begins where entries were taken a second ago, and each second at the first', () => {
  let ms = 5_000;
  const walk = createPendingWalk(() => ms);
  expect(walk.next()).toBe(0);
  walk.took(10);
  expect(walk.next()).toBe(0);
  ms += 1_000;
  expect(walk.next()).toBe(0);
  walk.took(25);
  walk.took(20);
  expect(walk.next()).toBe(0);
  ms += 1_000;
  expect(walk.next()).toBe(0);
  // What was taken when the walk before the last whole one began, and nothing younger.
  expect(walk.next()).toBe(10);
  walk.took(40);
  ms += 999;
  expect(walk.next()).toBe(10);
  ms += 1;
  expect(walk.next()).toBe(0);
  expect(walk.next()).toBe(25);
});
