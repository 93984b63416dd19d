import { pause } from '../../domain/pause.ts';
import { decodeEntryBundle, TILE_WIDTH, tilePath, type Tile } from '../../domain/log/tile.ts';
import { BrokenSource, type AuditSource } from '../../domain/log/audit/source.ts';
import { LogError } from '../../domain/log/error.ts';
import { HASH_BYTES } from '../../domain/log/hash.ts';
import { LIMITS, MIB } from '../../domain/limits.ts';
import { readBounded } from '../bounded-body.ts';

/** For one answer with its whole body: a log that drips bytes is no log that can be audited. */
const ANSWER_TIMEOUT_MS = 15_000;
/** 256 entries of 65,535 bytes with their lengths; what is larger after inflating is an attack. */
const ENTRIES_BYTES = 17 * MIB;
const TRIES = 3;
const RETRY_BASE_MS = 200;

export type RemoteLogErrorCode = 'unreachable' | 'timed_out' | 'failed' | 'redirected';

/** The log could not be read: nothing is known of it, good or bad. */
export class RemoteLogError extends Error {
  override readonly name = 'RemoteLogError';
  readonly code: RemoteLogErrorCode;
  constructor(code: RemoteLogErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.code = code;
  }
}

export interface RemoteLog extends AuditSource {
  /** The newest signed note; undefined when the log has none yet. */
  checkpoint(): Promise<string | undefined>;
}

export interface RemoteLogOptions {
  /** Prefix of the log, without a slash at the end. */
  url: string;
  signal: AbortSignal;
  timeoutMs?: number;
}

/** A log behind C2SP tlog-tiles over HTTP, read with bounds on every answer. It may be hostile. */
export function createRemoteLog({ url, signal, timeoutMs = ANSWER_TIMEOUT_MS }: RemoteLogOptions): RemoteLog {
  async function get(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await once(path, maxBytes);
      } catch (error) {
        if (!(error instanceof RemoteLogError) || error.code === 'redirected' || attempt >= TRIES)
          throw error;
        signal.throwIfAborted();
      }
      await pause(RETRY_BASE_MS * 2 ** (attempt - 1), signal);
    }
  }

  async function once(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
    const where = `${url}/${path}`;
    const late = AbortSignal.timeout(timeoutMs);
    try {
      const response = await fetch(where, { redirect: 'manual', signal: AbortSignal.any([signal, late]) });
      const { status } = response;
      if (status === 200) {
        const tooLarge = (): Error =>
          new BrokenSource('answer_malformed', path, `it is larger than ${maxBytes} bytes`);
        return await readBounded(response, maxBytes, tooLarge);
      }
      await response.body?.cancel();
      if (status === 404 || status === 410) return undefined;
      if (status >= 300 && status < 400)
        throw new RemoteLogError('redirected', `${where} redirects: a log is read where it says it is`);
      throw new RemoteLogError('failed', `${where} answers ${status}`);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (error instanceof RemoteLogError || error instanceof BrokenSource) throw error;
      if (late.aborted)
        throw new RemoteLogError('timed_out', `${where} did not answer in ${timeoutMs} ms`, error);
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      throw new RemoteLogError('unreachable', `cannot read ${where}: ${String(cause)}`, error);
    }
  }

  /** The tile, or what stands of it in the full one: partial tiles may be dropped once the full one is there. */
  async function widest(
    tile: Tile,
    maxBytes: number,
  ): Promise<{ bytes: Uint8Array; width: number } | undefined> {
    const bytes = await get(tilePath(tile), maxBytes);
    if (bytes !== undefined) return { bytes, width: tile.width };
    if (tile.width === TILE_WIDTH) return undefined;
    const full = await get(tilePath({ ...tile, width: TILE_WIDTH }), maxBytes);
    return full && { bytes: full, width: TILE_WIDTH };
  }

  return {
    async checkpoint() {
      const bytes = await get('checkpoint', LIMITS.checkpointBytes);
      if (bytes === undefined) return undefined;
      try {
        return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
      } catch {
        throw new BrokenSource('checkpoint_malformed', 'checkpoint', 'it is not UTF-8');
      }
    },
    async entries(index, width) {
      const tile: Tile = { level: 'entries', index, width };
      const found = await widest(tile, ENTRIES_BYTES);
      if (found === undefined) return Array.from({ length: width }, () => undefined);
      const entries = decoded(found.bytes, tilePath(tile));
      if (entries.length !== found.width) {
        throw new BrokenSource(
          'answer_malformed',
          tilePath(tile),
          `it holds ${entries.length} entries, not ${found.width}`,
        );
      }
      return entries.slice(0, width).map((leaf) => ({ leaf }));
    },
    async tile(level, index, width) {
      const tile: Tile = { level, index, width };
      const found = await widest(tile, TILE_WIDTH * HASH_BYTES);
      if (found === undefined) return undefined;
      if (found.bytes.length !== found.width * HASH_BYTES) {
        throw new BrokenSource(
          'answer_malformed',
          tilePath(tile),
          `it has ${found.bytes.length} bytes, not ${found.width * HASH_BYTES}`,
        );
      }
      return { hashes: found.bytes.subarray(0, width * HASH_BYTES) };
    },
  };
}

function decoded(bytes: Uint8Array, where: string): Uint8Array[] {
  try {
    return decodeEntryBundle(bytes);
  } catch (error) {
    if (!(error instanceof LogError)) throw error;
    throw new BrokenSource('answer_malformed', where, error.message);
  }
}
