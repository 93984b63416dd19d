import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { list, object, text, type Shape } from '../../domain/receipt/shape.ts';
import { CliError, fileReasonOf } from '../failure.ts';
import { readRegularFile } from '../regular-file.ts';

/** Thousands of logs. */
const TRUST_FILE_BYTES = 1024 * 1024;

/** One log that this machine has decided to trust. */
export interface PinnedLog {
  origin: string;
  /** C2SP verifier keys; two while the log's key changes. */
  vkeys: string[];
  /** The API that named it when it was pinned. */
  api: string;
  pinned_at: string;
}

const VERSION: Shape<1> = {
  read: (value) => {
    if (value !== 1) throw new TypeError('not a version that is known');
    return value;
  },
};
/** Read without zod: loading it takes longer than checking a bundle. */
const trustFile = object<{ version: 1; logs: PinnedLog[] }>({
  version: VERSION,
  logs: list(object<PinnedLog>({ origin: text, vkeys: list(text), api: text, pinned_at: text })),
});

/** The pinned logs of `file`; none when it does not exist. */
export async function readTrustFile(file: string): Promise<PinnedLog[]> {
  const read = await readRegularFile(file, TRUST_FILE_BYTES);
  if (read === undefined) return [];
  try {
    return trustFile.read(JSON.parse(read.bytes.toString('utf8')), '').logs;
  } catch (cause) {
    throw new CliError('input_invalid', `${file} is not a trust file`, {
      next: 'mend it, or move it away and pin again with `beacon verify JOB`',
      cause,
    });
  }
}

/** Adds a log. */
export async function pinLog(file: string, log: PinnedLog): Promise<void> {
  await writeTrustFile(file, [...(await readTrustFile(file)), log]);
}

/** Adds verifier keys to the pinned logs of their names. */
export async function pinMore(file: string, vkeys: readonly string[]): Promise<void> {
  const logs = (await readTrustFile(file)).map((log) => ({
    ...log,
    vkeys: [...new Set([...log.vkeys, ...vkeys.filter((vkey) => vkey.startsWith(`${log.origin}+`))])],
  }));
  await writeTrustFile(file, logs);
}

/** The file is replaced whole, so that no reader sees half of it. */
async function writeTrustFile(file: string, logs: readonly PinnedLog[]): Promise<void> {
  const made = `${file}.${process.pid}`;
  try {
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(made, `${JSON.stringify({ version: 1, logs }, null, 2)}\n`, { mode: 0o600 });
    await rename(made, file);
  } catch (cause) {
    throw new CliError('output_unwritable', `cannot write ${file}: ${fileReasonOf(cause)}`, { cause });
  }
}
