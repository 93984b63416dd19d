import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { fromBase64, toBase64 } from '../../domain/encoding.ts';
import { parseTime } from '../../domain/signing/freshness.ts';
import type { Log } from '../../observability/log.ts';
import type { TrustSettings } from '../settings.ts';

type TrustVerdict = 'trusted' | 'unknown' | 'revoked' | 'expired' | 'not_yet_valid';

/** The keys whose jobs are taken while trust is enforced (spec: beacon §2.6). */
export interface TrustList extends AsyncDisposable {
  evaluate(publicKey: string, nowMs: number): TrustVerdict;
}

class TrustListError extends Error {
  readonly code = 'trust_list_invalid';
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'TrustListError';
  }
}

const PUBLIC_KEY_BYTES = 32;

const time = z
  .string()
  .transform((text, context) => {
    const ms = text === '' ? null : parseTime(text);
    if (ms === undefined) context.addIssue({ code: 'custom', message: 'must be an RFC 3339 time' });
    return ms ?? null;
  })
  .nullish();

const publicKey = z.string('is not a text').transform((text, context) => {
  const unpadded = text.replace(/=+$/, '');
  const bytes = fromBase64(unpadded + '='.repeat((4 - (unpadded.length % 4)) % 4));
  if (bytes?.length !== PUBLIC_KEY_BYTES) {
    context.addIssue({ code: 'custom', message: 'must be 32 bytes in base64' });
    return z.NEVER;
  }
  return toBase64(bytes);
});

const entry = z.object({
  kid: z.string('is not a text').min(1, 'is empty'),
  public_key: publicKey,
  status: z.enum(['', 'active', 'revoked'], 'must be active or revoked').default('active'),
  not_before: time,
  not_after: time,
});
type Entry = z.infer<typeof entry>;

/** One entry stands for a list of one, as it always did. */
const asList = (value: unknown): unknown => (Array.isArray(value) ? value : [value]);
const list = z.preprocess(asList, z.array(entry)).superRefine((entries, context) => {
  for (const field of ['kid', 'public_key'] as const) {
    const values = entries.map((item) => item[field]);
    const twice = values.find((value, index) => values.indexOf(value) !== index);
    if (twice !== undefined) context.addIssue({ code: 'custom', message: `${field} ${twice} stands twice` });
  }
  for (const { kid, not_before, not_after } of entries) {
    if (not_before != null && not_after != null && not_before > not_after) {
      context.addIssue({ code: 'custom', message: `${kid}: not_before is later than not_after` });
    }
  }
});

const LIST = 'the list of trusted keys (TRUSTED_KEYS_JSON, else TRUSTED_KEYS_FILE)';

export function parseTrustList(text: string): Map<string, Entry> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new TrustListError(`${LIST} is not JSON`, { cause });
  }
  const parsed = list.safeParse(value);
  if (!parsed.success) {
    const said = parsed.error.issues.map(({ path: [at, field], message }) => {
      const entryOf = typeof at === 'number' ? `entry ${at + 1}: ` : '';
      return `${entryOf}${[...(field === undefined ? [] : [String(field)]), message].join(' ')}`;
    });
    throw new TrustListError(`${LIST} is invalid: ${said.join('; ')}`, { cause: parsed.error });
  }
  return new Map(parsed.data.map((item) => [item.public_key, item]));
}

/**
 * Loads the list and, where asked, loads it again and again. A list that is wrong is refused at start; a later one that
 * is wrong or gone is logged and the one before it stays. A file that does not exist at start is an empty list.
 */
export async function loadTrustList(
  { keysJson, keysFile, reloadMs }: Pick<TrustSettings, 'keysJson' | 'keysFile' | 'reloadMs'>,
  log: Pick<Log, 'info' | 'warn' | 'error'>,
): Promise<TrustList> {
  const file = keysJson === null ? keysFile : null;
  let keys = new Map<string, Entry>();
  let text: string | undefined;

  async function read(): Promise<void> {
    const next = keysJson ?? (file === null ? '[]' : await readFile(file, 'utf8'));
    if (next === text) return;
    keys = parseTrustList(next);
    text = next;
    log.info({ keys: keys.size }, 'trusted keys loaded');
  }
  try {
    await read();
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    log.warn({ file }, 'the file of trusted keys does not exist: no key is trusted');
  }

  let reading: Promise<void> | undefined;
  const timer =
    file === null || reloadMs === 0
      ? undefined
      : setInterval(() => {
          reading ??= read()
            .catch((error: unknown) =>
              log.error({ err: error, file }, 'trusted keys not reloaded, the old ones stay'),
            )
            .finally(() => (reading = undefined));
        }, reloadMs).unref();
  return {
    evaluate(key, nowMs) {
      const found = keys.get(key);
      if (found === undefined) return 'unknown';
      if (found.status === 'revoked') return 'revoked';
      if (found.not_before != null && nowMs < found.not_before) return 'not_yet_valid';
      if (found.not_after != null && nowMs > found.not_after) return 'expired';
      return 'trusted';
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await reading;
    },
  };
}
