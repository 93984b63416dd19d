import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { Reader, type Response } from 'mmdb-lib';
import { z } from 'zod';

/** Which country an address is in, by a database of the operator's. */
export interface GeoTable {
  /** As the file names itself. */
  database: string;
  /** RFC 3339. */
  builtAt: string;
  /** Two letters; null when the database does not know the address. */
  countryOf(address: string): string | null;
}

const country = z.string().regex(/^[A-Za-z]{2}$/);
/** GeoLite2 and DB-IP nest the code, ip-location-db has it flat. */
const found = z.union([
  z.object({ country: z.object({ iso_code: country }) }).transform((row) => row.country.iso_code),
  z.object({ country_code: country }).transform((row) => row.country_code),
]);

/** Reads an `.mmdb` of countries into memory; throws when it is none. */
export function openGeoTable(file: string): GeoTable {
  let reader: Reader<Response>;
  try {
    reader = new Reader<Response>(readFileSync(file));
  } catch (cause) {
    throw new Error(`GEOIP_DATABASE: ${file} cannot be read as an .mmdb of countries`, { cause });
  }
  return {
    database: reader.metadata.databaseType,
    builtAt: reader.metadata.buildEpoch.toISOString(),
    countryOf(address) {
      if (isIP(address) === 0) return null;
      const row = found.safeParse(reader.get(address));
      return row.success ? row.data.toUpperCase() : null;
    },
  };
}
