import { expect, test } from 'vitest';
import { prefersText } from './negotiate.ts';

test.each<[string | undefined, boolean]>([
  [undefined, false],
  ['', false],
  ['*/*', false],
  ['application/json', false],
  ['text/plain', true],
  ['text/*', true],
  ['Text/Plain; charset=utf-8', true],
  ['text/plain;q=0.5, application/json', false],
  ['text/plain, application/json;q=0.9', true],
  ['text/html, */*;q=0.8', false],
  ['text/plain;q=0, */*', false],
  ['text/plain;q=zero', false],
])('Accept %o', (accept, text) => {
  expect(prefersText(accept)).toBe(text);
});
