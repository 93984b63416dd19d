import { expect, it } from 'vitest';
import { regionOfCountry } from './country.ts';

it('EU is Europe by continent, with the countries outside of the Union', () => {
  for (const country of ['DE', 'GB', 'CH', 'NO', 'UA', 'IS', 'XK', 'se'])
    expect(regionOfCountry(country)).toBe('EU');
});

it('US has its territories', () => {
  for (const country of ['US', 'PR', 'GU', 'VI', 'AS', 'MP', 'UM'])
    expect(regionOfCountry(country)).toBe('US');
});

it('two-letter names of regions are not taken for countries of the same letters', () => {
  expect(regionOfCountry('SA')).toBe('ME');
  expect(regionOfCountry('AF')).toBe('APAC');
  expect(regionOfCountry('ME')).toBe('EU');
  expect(regionOfCountry('CA')).toBe('CA');
});

it('a country that belongs to no region has none, and neither has what is no country', () => {
  for (const country of ['MX', 'GL', 'AQ', 'CU', 'ZZ', '', 'constructor'])
    expect(regionOfCountry(country)).toBeNull();
});

it('every country of ISO 3166 is either in one region or known to be in none', () => {
  const letters = Array.from({ length: 26 }, (_, i) => String.fromCharCode(65 + i));
  const names = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' });
  /** Former, common and placeholder codes that ICU also knows. */
  const other = new Set(
    'AC AN BU CP CQ CS DD DG DY EA EU EZ FX HV IC NH NT PC QO RH SU TA TP UK UN VD XA XB YD YU ZR ZZ'.split(
      ' ',
    ),
  );
  const none = letters
    .flatMap((a) => letters.map((b) => a + b))
    .filter((code) => names.of(code) !== undefined && !other.has(code) && regionOfCountry(code) === null);
  expect(none.join(' ')).toBe(
    'AG AI AQ AW BB BL BM BQ BS BV BZ CR CU CW DM DO GD GL GP GS GT HM HN HT JM KN KY LC MF MQ MS MX NI PA PM SV SX TC TF TT VC VG',
  );
});
