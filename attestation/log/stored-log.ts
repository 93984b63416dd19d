import type { AuditSource } from '../../domain/log/audit/source.ts';
import { TILE_WIDTH } from '../../domain/log/tile.ts';
import { readAuditedEntries, readFullTiles } from '../../store/log-audit.ts';
import { LogDamagedError, readHashes } from '../../store/log-tiles.ts';
import type { Pool } from '../../store/pool.ts';

/** Our own log as its tables have it, rows as they are: what the API serves is made of the same ones. */
export function createStoredLog(pool: Pool, logId: string): AuditSource {
  return {
    async entries(index, width) {
      const start = index * TILE_WIDTH;
      const rows = await readAuditedEntries(pool, logId, start, width);
      const found = new Map(rows.map((row) => [row.index, row]));
      return Array.from({ length: width }, (_, i) => found.get(start + i));
    },
    async tile(level, index, width) {
      if (width === TILE_WIDTH) return (await readFullTiles(pool, logId, [{ level, index }]))[0];
      const range = { level, start: index * TILE_WIDTH, count: width };
      try {
        return { hashes: (await readHashes(pool, logId, [range]))[0]! };
      } catch (error) {
        if (error instanceof LogDamagedError) return undefined;
        throw error;
      }
    },
  };
}
