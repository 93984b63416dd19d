import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { isChosen, rankServices } from './replication.ts';

const sha256Hex = (text: string) => createHash('sha256').update(text).digest('hex');
const services = ['a', 'b', 'c', 'd'];
const cids = Array.from({ length: 400 }, (_, i) => `cid-${i}`);

test('each tree has its own order, whatever the order of the settings', () => {
  for (const cid of cids)
    expect(rankServices(cid, services.toReversed(), sha256Hex)).toEqual(
      rankServices(cid, services, sha256Hex),
    );
  for (const service of services) {
    const first = cids.filter((cid) => rankServices(cid, services, sha256Hex)[0] === service);
    expect(first.length).toBeGreaterThan(60);
  }
});

test('a service that goes moves only its own share', () => {
  for (const cid of cids)
    expect(rankServices(cid, services.slice(1), sha256Hex)).toEqual(
      rankServices(cid, services, sha256Hex).filter((service) => service !== 'a'),
    );
});

test('the first ones that have not failed are chosen', () => {
  const chosen = (failed: string[]) =>
    services.filter((service) => isChosen(services, service, 2, new Set(failed)));
  expect(chosen([])).toEqual(['a', 'b']);
  // One that failed is still tried, beside the one that takes its place.
  expect(chosen(['a'])).toEqual(['a', 'b', 'c']);
  expect(chosen(['a', 'b'])).toEqual(['a', 'b', 'c', 'd']);
});
