import { describe, expect, test } from 'vitest';
import { createFailureLimit, network } from './failure-limit.ts';

function clocked() {
  const clock = { ms: 0 };
  return { clock, limit: createFailureLimit({ perAddress: 3, perAddressAndKey: 2 }, () => clock.ms) };
}

describe('failures', () => {
  test('of one key from one address block that pair for the rest of the minute, and nobody else', () => {
    const { clock, limit } = clocked();
    limit.failed('1.1.1.1', 'k');
    expect(limit.blocked('1.1.1.1', 'k')).toBeUndefined();
    clock.ms = 20_000;
    limit.failed('1.1.1.1', 'k');
    expect(limit.blocked('1.1.1.1', 'k')).toBe(40);
    expect(limit.blocked('1.1.1.1', 'other')).toBeUndefined();
    expect(limit.blocked('2.2.2.2', 'k')).toBeUndefined();
    clock.ms = 60_000;
    expect(limit.blocked('1.1.1.1', 'k')).toBeUndefined();
  });

  test('of many keys from one address block the address', () => {
    const { limit } = clocked();
    for (const key of ['a', 'b', 'c']) limit.failed('1.1.1.1', key);
    expect(limit.blocked('1.1.1.1', 'd')).toBe(60);
  });

  test('without a key count for the address, which is asked without one', () => {
    const { clock, limit } = clocked();
    limit.failed('1.1.1.1', 'k');
    limit.failed('1.1.1.1', 'k');
    expect(limit.blocked('1.1.1.1', 'k')).toBe(60);
    expect(limit.blocked('1.1.1.1')).toBeUndefined();
    limit.failed('1.1.1.1');
    expect(limit.blocked('1.1.1.1')).toBe(60);
    expect(limit.blocked('1.1.1.1', 'other')).toBe(60);
    expect(limit.blocked('1.1.1.2')).toBeUndefined();
    clock.ms = 60_000;
    expect(limit.blocked('1.1.1.1')).toBeUndefined();
  });

  test("from anywhere in an IPv6 customer's network count together", () => {
    expect(network('2001:db8:1:2::1')).toBe(network('2001:0db8:1:2:ffff:ffff:ffff:ffff'));
    expect(network('2001:db8:1:2::1')).not.toBe(network('2001:db8:1:3::1'));
    expect(network('::ffff:10.0.0.1')).toBe('10.0.0.1');
    expect(network('::1')).toBe('0:0:0:0');
    expect(network('fe80::1%eth0')).toBe('fe80:0:0:0');
  });

  test('from very many addresses do not fill the memory, and the newest still count', () => {
    const { limit } = clocked();
    for (let i = 0; i < 40_000; i++) limit.failed(`${i}`, 'k');
    expect(limit.blocked('0', 'k')).toBeUndefined();
    limit.failed('39999', 'k');
    expect(limit.blocked('39999', 'k')).toBe(60);
  });
});
