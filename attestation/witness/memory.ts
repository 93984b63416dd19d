import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { CosignedHead } from '../../domain/log/add-checkpoint.ts';
import { fromHex, toHex } from '../../domain/encoding.ts';
import { writeWhole } from '../log/whole-file.ts';

/** What a witness must never forget: of each log the head that it cosigned last. */
export interface WitnessMemory {
  /** Undefined when nothing of this log was ever cosigned. Throws where that cannot be told. */
  read(origin: string): Promise<CosignedHead | undefined>;
  /** On disk when it returns. */
  write(origin: string, head: CosignedHead, checkpoint: string): Promise<void>;
}

const stored = z.object({
  origin: z.string(),
  size: z.int().min(0),
  root: z.string().regex(/^[0-9a-f]{64}$/),
});

/** One file for each log. A file that cannot be read is an error: an unknown past is no empty one. */
export function folderMemory(folder: string): WitnessMemory {
  // Origins hold slashes and whatever else; the name only has to be the same again.
  const fileOf = (origin: string) =>
    path.join(folder, `${createHash('sha256').update(origin).digest('hex').slice(0, 32)}.json`);
  return {
    async read(origin) {
      const file = fileOf(origin);
      let text: string;
      try {
        text = await readFile(file, 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
      const found = stored.safeParse(jsonOf(text));
      if (!found.success || found.data.origin !== origin)
        throw new Error(`${file} does not say what was cosigned of ${origin} last`);
      return { size: found.data.size, root: fromHex(found.data.root)! };
    },
    write: (origin, { size, root }, checkpoint) =>
      writeWhole(fileOf(origin), `${JSON.stringify({ origin, size, root: toHex(root), checkpoint })}\n`),
  };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
