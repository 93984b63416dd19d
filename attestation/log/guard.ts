import { readFile } from 'node:fs/promises';
import { equalBytes, fromHex, toHex } from '../../domain/encoding.ts';
import { LogServiceError } from './error.ts';
import { noFaults, type Faults } from './faults.ts';
import { writeWhole } from './whole-file.ts';

/**
 * What was signed last, remembered outside the database: a database restored from a backup, or failed over to a stale
 * copy, would otherwise sign a second history without noticing. Written after the commit and before the checkpoint is shown:
 * never ahead of the database, never behind what anybody saw. One file counts for one host.
 */
export interface GuardedHead {
  origin: string;
  size: number;
  root: Uint8Array;
  /** The signed checkpoint: what a log that follows this one names. Absent in files of earlier versions. */
  note?: string;
}

export interface Guard {
  /** Undefined before the first checkpoint. Throws when the file is unreadable: an unknown past is no empty one. */
  read(): Promise<GuardedHead | undefined>;
  write(head: GuardedHead): Promise<void>;
}

export function fileGuard(file: string, faults: Faults = noFaults): Guard {
  return {
    async read() {
      let text: string;
      try {
        text = await readFile(file, 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
      return parse(text, file);
    },
    write({ origin, size, root, note }) {
      const text = `${JSON.stringify({ origin, size, root: toHex(root), checkpoint: note })}\n`;
      return writeWhole(file, text, () => faults('in_guard'));
    },
  };
}

/** As `guard`, but what it remembers of a log that was closed since holds nobody up: the log after it names that. */
export function forgettingClosed(guard: Guard, isClosed: (origin: string) => Promise<boolean>): Guard {
  return {
    async read() {
      const head = await guard.read();
      return head !== undefined && (await isClosed(head.origin)) ? undefined : head;
    },
    write: (head) => guard.write(head),
  };
}

function parse(text: string, file: string): GuardedHead {
  let value: Partial<Record<'origin' | 'size' | 'root' | 'checkpoint', unknown>> = {};
  try {
    value = JSON.parse(text) as typeof value;
  } catch {
    // Told below, together with every other way of being unreadable.
  }
  const root = typeof value.root === 'string' ? fromHex(value.root) : undefined;
  if (typeof value.origin !== 'string' || !Number.isSafeInteger(value.size) || root?.length !== 32) {
    throw new LogServiceError('rollback_detected', `the rollback guard ${file} cannot be read`);
  }
  return {
    origin: value.origin,
    size: value.size as number,
    root,
    ...(typeof value.checkpoint === 'string' ? { note: value.checkpoint } : {}),
  };
}

/**
 * Throws unless the log still holds everything that the guard saw signed. `rootAt` computes the root of the log's first
 * `size` entries from what is stored.
 */
export async function checkGuard(
  guarded: GuardedHead | undefined,
  head: GuardedHead,
  rootAt: (size: number) => Promise<Uint8Array>,
): Promise<void> {
  if (guarded === undefined) return;
  const refuse = (reason: string): never => {
    throw new LogServiceError(
      'rollback_detected',
      `${reason}; this log must not be signed any more (docs/receipt.md)`,
    );
  };
  if (guarded.origin !== head.origin)
    refuse(`the guard is of ${guarded.origin}, the database of ${head.origin}`);
  if (head.size < guarded.size) {
    refuse(`the database holds ${head.size} entries, but ${guarded.size} were signed`);
  }
  const root = guarded.size === head.size ? head.root : await rootAt(guarded.size);
  if (!equalBytes(root, guarded.root))
    refuse(`the first ${guarded.size} entries are not those that were signed`);
}
