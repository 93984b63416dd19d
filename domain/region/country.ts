import type { Region } from '../jobspec/region.ts';

/**
 * Which region a country belongs to (ISO 3166-1 alpha-2, and XK as databases write it). US with its territories; EU is
 * Europe by continent, as GeoNames draws it; ME the Middle East without Egypt; APAC the rest of Asia and Oceania.
 * Central America, the Caribbean, Greenland, Mexico and Antarctica belong to none. A changed row is a new version: the
 * version stands in every evidence.
 */
export const COUNTRY_TABLE = 'countries/1';

const COUNTRIES: Record<Region, string> = {
  US: 'US AS GU MP PR UM VI',
  EU:
    'AD AL AT AX BA BE BG BY CH CY CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI LT LU LV MC MD ME MK MT ' +
    'NL NO PL PT RO RS RU SE SI SJ SK SM UA VA XK',
  APAC:
    'AF AM AU AZ BD BN BT CC CK CN CX FJ FM GE HK ID IN IO JP KG KH KI KP KR KZ LA LK MH MM MN MO MV MY NC NF NP NR NU ' +
    'NZ PF PG PH PK PN PW SB SG TH TJ TK TL TM TO TV TW UZ VN VU WF WS',
  CA: 'CA',
  SA: 'AR BO BR CL CO EC FK GF GY PE PY SR UY VE',
  AF:
    'AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW KE KM LR LS LY MA MG ML MR MU MW MZ NA NE NG RE ' +
    'RW SC SD SH SL SN SO SS ST SZ TD TG TN TZ UG YT ZA ZM ZW',
  ME: 'AE BH IL IQ IR JO KW LB OM PS QA SA SY TR YE',
};

const REGION_OF = new Map(
  Object.entries(COUNTRIES).flatMap(([region, countries]) =>
    countries.split(' ').map((country) => [country, region as Region] as const),
  ),
);

/** The region of a country by its two letters; null for a country that belongs to none. */
export function regionOfCountry(country: string): Region | null {
  return REGION_OF.get(country.toUpperCase()) ?? null;
}
