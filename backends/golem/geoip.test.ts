import { createRequire } from 'node:module';
import { expect, it } from 'vitest';
import { openGeoTable } from './geoip.ts';

const { resolve } = createRequire(import.meta.url);
const whole = resolve('@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb');

it('countries of addresses are read from a database of the operator', () => {
  const geo = openGeoTable(whole);
  expect(geo.countryOf('8.8.8.8')).toBe('US');
  expect(geo.countryOf('193.0.6.139')).toBe('NL');
  expect(geo.countryOf('2001:67c:2e8:22::c100:68b')).toBe('NL');
  expect(geo.builtAt).toMatch(/^20\d\d-/);
  expect(geo.database).not.toBe('');
});

it('addresses that the database does not know have no country', () => {
  const geo = openGeoTable(whole);
  for (const address of ['127.0.0.1', '10.1.2.3', '::1', 'nonsense', ''])
    expect(geo.countryOf(address)).toBeNull();
});

it('a file that is no database is refused with the name of the setting', () => {
  expect(() => openGeoTable(import.meta.filename)).toThrow(/GEOIP_DATABASE/);
  expect(() => openGeoTable('/nowhere.mmdb')).toThrow(/GEOIP_DATABASE/);
});
