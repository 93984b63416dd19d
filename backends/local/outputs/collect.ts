import type { OutcomeFile, Step, StoredBytes } from '../../backend.ts';
import { LIMITS } from '../../../domain/limits.ts';
import { Refusal } from '../../refusal.ts';
import { mimeOf } from './mime.ts';
import { tooMany, walkOutputs, type FoundFile } from './walk.ts';

export interface Collected {
  output: StoredBytes | null;
  files: OutcomeFile[];
}

const OUTPUT_FILE = 'output.json';
const CHUNK_BYTES = 256 * 1024;

/**
 * Takes what a program left: `output.json` is the output, else what it wrote to stdout; everything else is an artifact.
 * All or nothing: one file that is refused refuses them all, before anything is stored.
 */
export async function collectOutputs(
  folder: string,
  stdout: Uint8Array,
  store: Step['store'],
): Promise<Collected> {
  return walkOutputs(folder, async (found) => {
    const own = found.find((file) => file.name === OUTPUT_FILE);
    const artifacts = found.filter((file) => file !== own);
    if (artifacts.length > LIMITS.filesPerExecution) throw tooMany();
    const output = own === undefined ? stdout : await outputFile(own);
    await refuseLarge(artifacts);

    const files: OutcomeFile[] = [];
    let left: number = LIMITS.filesBytes;
    for (const file of artifacts) {
      const stored = await store(bounded(file, left));
      left -= stored.size;
      files.push({ name: file.name, mime: mimeOf(file.name), ...stored });
    }
    return { output: output.length === 0 ? null : await store(output), files };
  });
}

async function outputFile(file: FoundFile): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of read(file, LIMITS.outputBytes, () => tooLargeOutput())) parts.push(part);
  const bytes = Buffer.concat(parts);
  try {
    JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new Refusal('output_invalid', `${OUTPUT_FILE} is not JSON`, { cause: error });
  }
  return bytes;
}

function tooLargeOutput(): Refusal {
  return new Refusal('output_too_large', `${OUTPUT_FILE} is larger than ${LIMITS.outputBytes} bytes`);
}

function tooLarge(): Refusal {
  return new Refusal(
    'file_too_large',
    `the output files are larger than ${LIMITS.filesBytes} bytes together`,
  );
}

/** Stated sizes refuse early, a sparse giant among them; what counts in the end are the bytes that are read. */
async function refuseLarge(files: FoundFile[]): Promise<void> {
  let stated = 0;
  for (const file of files) {
    const handle = await file.open();
    try {
      stated += (await handle.stat()).size;
    } finally {
      await handle.close();
    }
    if (stated > LIMITS.filesBytes) throw tooLarge();
  }
}

function bounded(file: FoundFile, limit: number): AsyncIterable<Uint8Array> {
  return read(file, limit, tooLarge);
}

async function* read(file: FoundFile, limit: number, over: () => Refusal): AsyncGenerator<Uint8Array> {
  const handle = await file.open();
  try {
    const stat = await handle.stat();
    if (!stat.isFile())
      throw new Refusal('file_special_refused', `the output ${file.name} is no regular file`);
    if (stat.size > limit) throw over();
    let total = 0;
    for (;;) {
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, null);
      if (bytesRead === 0) return;
      total += bytesRead;
      if (total > limit) throw over();
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}
