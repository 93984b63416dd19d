import { formatAddCheckpoint, SIZE_CONTENT_TYPE } from '../../domain/log/add-checkpoint.ts';
import { parseSize } from '../../domain/log/checkpoint.ts';
import type { PolicyWitness } from '../../domain/log/policy.ts';
import type { StoredCosignature } from '../../store/log-cosignatures.ts';
import { readBounded } from '../bounded-body.ts';
import { reasonOf } from '../call-failure.ts';
import { readCosignatures } from '../log/cosignatures.ts';

/** No witness makes anybody wait longer. */
const TIMEOUT_MS = 1_000;
/** Some signature lines, or a number. */
const MAX_ANSWER_BYTES = 65_536;

/** What came of asking a witness. */
export type WitnessAnswer =
  | { kind: 'cosigned'; lines: StoredCosignature[] }
  /** It cosigned `size` entries last, which is not what the proof began with. */
  | { kind: 'conflict'; size: number }
  /** It says that the proof does not hold. */
  | { kind: 'inconsistent' }
  | { kind: 'failed'; reason: string };

/** The signed note and how to prove that it continues a smaller one. */
export interface Submission {
  size: number;
  note: string;
  prove(oldSize: number): Promise<Uint8Array[]>;
}

/** One request of C2SP tlog-witness v1.0.0. Never rejects for what the witness does, however it behaves. */
export async function askWitness(
  { key, url }: PolicyWitness,
  { note, prove }: Submission,
  oldSize: number,
  { timeoutMs = TIMEOUT_MS, signal }: { timeoutMs?: number; signal?: AbortSignal } = {},
): Promise<WitnessAnswer> {
  const proof = await prove(oldSize);
  try {
    const response = await fetch(`${(url ?? '').replace(/\/+$/, '')}/add-checkpoint`, {
      method: 'POST',
      body: formatAddCheckpoint({ oldSize, proof, checkpoint: note }),
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      redirect: 'error',
      signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(signal === undefined ? [] : [signal])]),
    });
    const answer = utf8Text(await readBounded(response, MAX_ANSWER_BYTES));
    if (response.status === 200) {
      const lines = readCosignatures(note, answer, [key]);
      return lines.length > 0 ? { kind: 'cosigned', lines } : failed('its answer has no line of its key');
    }
    if (response.status === 422) return { kind: 'inconsistent' };
    if (response.status !== 409) return failed(`status ${response.status}`);
    const size = isSize(response) ? parseSize(answer.replace(/\n$/, '')) : undefined;
    // Of the same size with another root the protocol says nothing more than the status.
    return size === undefined ? failed('a conflict without a size') : { kind: 'conflict', size };
  } catch (error) {
    return failed(reasonOf(error));
  }
}

const failed = (reason: string): WitnessAnswer => ({ kind: 'failed', reason });

function isSize(response: Response): boolean {
  return (response.headers.get('content-type') ?? '').split(';')[0]!.trim() === SIZE_CONTENT_TYPE;
}

const utf8Text = (bytes: Uint8Array): string => new TextDecoder('utf-8', { fatal: true }).decode(bytes);
