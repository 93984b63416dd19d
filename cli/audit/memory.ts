import { createHash } from 'node:crypto';
import path from 'node:path';
import { z } from 'zod';
import { nodeSha256 } from '../../attestation/keys/node-verifiers.ts';
import { writeWhole } from '../../attestation/log/whole-file.ts';
import { fromBase64, toBase64 } from '../../domain/encoding.ts';
import type { RememberedHead } from '../../domain/log/audit/head.ts';
import { checkpointText, parseCheckpoint } from '../../domain/log/checkpoint.ts';
import { Frontier } from '../../domain/log/frontier.ts';
import { treeHash } from '../../domain/log/hash.ts';
import type { Context } from '../context.ts';
import { CliError, fileReasonOf } from '../failure.ts';
import { readRegularFile } from '../regular-file.ts';

/** A right edge has at most 255 hashes on each of seven levels. */
const MEMORY_BYTES = 1024 * 1024;

const edge = z.object({ size: z.int().min(0), tiles: z.array(z.base64()) });
const memory = z.object({
  version: z.literal(1),
  log: z.string(),
  /** Text of the last checkpoint that was found good; its signature was checked then. */
  head: z.string().nullable(),
  /** Where the last audit that was finished stopped, and where one was interrupted. */
  audited: edge.nullable(),
  interrupted: edge.nullable(),
});

/** What an auditor keeps of a log between two looks: without it nobody can tell a rewound log or a fork. */
export interface LogMemory {
  head: RememberedHead | undefined;
  audited: Frontier | undefined;
  interrupted: Frontier | undefined;
}

export function memoryFile(context: Context, log: string, given: string | undefined): string {
  const name = createHash('sha256').update(log).digest('hex').slice(0, 16);
  return given === undefined
    ? path.join(context.stateDir, 'watched', `${name}.json`)
    : path.resolve(context.io.cwd, given);
}

/** A file that cannot be read is told: an unknown past is no empty one. */
export async function readMemory(file: string, log: string): Promise<LogMemory> {
  const read = await readRegularFile(file, MEMORY_BYTES);
  if (read === undefined) return { head: undefined, audited: undefined, interrupted: undefined };
  try {
    const kept = memory.parse(JSON.parse(read.bytes.toString('utf8')));
    if (kept.log !== log) throw new Error(`it is of ${kept.log}`);
    return {
      head: kept.head === null ? undefined : parseCheckpoint(kept.head),
      audited: restored(kept.audited),
      interrupted: restored(kept.interrupted),
    };
  } catch (cause) {
    throw new CliError('input_invalid', `${file} is not what an auditor of ${log} kept`, {
      next: 'move it away only if you know why: a log that was rewound or forked is not noticed without it',
      cause,
    });
  }
}

export async function writeMemory(file: string, log: string, kept: LogMemory): Promise<void> {
  const value: z.infer<typeof memory> = {
    version: 1,
    log,
    head: kept.head === undefined ? null : checkpointText(kept.head),
    audited: stored(kept.audited),
    interrupted: stored(kept.interrupted),
  };
  try {
    await writeWhole(file, `${JSON.stringify(value)}\n`);
  } catch (cause) {
    throw new CliError('output_unwritable', `cannot write ${file}: ${fileReasonOf(cause)}`, { cause });
  }
}

function stored(frontier: Frontier | undefined): z.infer<typeof edge> | null {
  return frontier === undefined
    ? null
    : { size: frontier.size, tiles: frontier.partialTiles().map(toBase64) };
}

function restored(kept: z.infer<typeof edge> | null): Frontier | undefined {
  if (kept === null) return undefined;
  const tiles = kept.tiles.map((tile) => fromBase64(tile) ?? new Uint8Array());
  const ranges = Frontier.ranges(kept.size);
  if (
    kept.size % 256 !== 0 ||
    ranges.length !== tiles.length ||
    ranges.some((range, i) => tiles[i]!.length !== range.count * 32)
  )
    throw new Error('its edge is malformed');
  return Frontier.restore(kept.size, tiles, treeHash(nodeSha256));
}
