import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { isJsonObject } from '../../domain/json/node.ts';
import { parseStrictJson } from '../../domain/json/parse.ts';
import { unreadMembers } from './unread-members.ts';

const unreadOf = (bytes: Uint8Array): string[] => {
  const tree = parseStrictJson(bytes);
  if (!isJsonObject(tree)) throw new Error('no object');
  return unreadMembers(tree);
};
const example = (name: string): Uint8Array =>
  readFileSync(path.join(import.meta.dirname, '../../examples', name));

test.each(['minimal.json', 'three-regions.json', 'golem-regions.json'])(
  '%s has no member in vain',
  (name) => {
    expect(unreadOf(example(name))).toEqual([]);
  },
);

test('a misspelt member is named wherever it stands', () => {
  const spec = JSON.parse(new TextDecoder().decode(example('minimal.json'))) as Record<string, unknown> & {
    benchmark: { container: Record<string, unknown>; input: { data: Record<string, unknown> } };
    constraints: Record<string, unknown>;
  };
  spec['visibilty'] = 'private';
  spec['models'] = [{ id: 'a', regoins: ['EU'] }];
  spec['metadata'] = { anything: { goes: 1 } };
  spec.constraints['timout'] = 5;
  spec.benchmark.container['resource'] = {};
  spec.benchmark.input.data['anything'] = { goes: 1 };
  spec['signature'] = 'x';
  expect(unreadOf(Buffer.from(JSON.stringify(spec)))).toEqual([
    'benchmark.container.resource',
    'constraints.timout',
    'visibilty',
    'models[0].regoins',
  ]);
});

test('of a spec that is wrong nothing is said', () => {
  expect(unreadOf(Buffer.from('{"benchmark": 7, "x": 1}'))).toEqual([]);
});
