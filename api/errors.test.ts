import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { ERRORS } from './errors.ts';

test('every code that the API answers is in the document, with its status', () => {
  const document = readFileSync(path.join(import.meta.dirname, '../docs/api.md'), 'utf8');
  const documented = [...document.matchAll(/^\| `([a-z_:]+)` *\| (\d{3}) /gm)].map(([, code, status]) => [
    code,
    Number(status),
  ]);
  const known = Object.entries(ERRORS).map(([code, [status]]) => [code, status]);
  expect(documented.toSorted()).toEqual(known.toSorted());
});
