import { createHash } from 'node:crypto';
import { generateLogKey, type LogKey } from '../../attestation/keys/log-key.ts';
import { nodeVerifiers } from '../../attestation/keys/node-verifiers.ts';
import { generateReceiptKey, type ReceiptKey } from '../../attestation/keys/receipt-key.ts';
import {
  buildErasure,
  buildFirstKeyStart,
  buildJobSummary,
  buildKeyStart,
  buildReceipt,
  type SignedStatement,
} from '../../attestation/receipt/build.ts';
import { fromUtf8, toBase64, toHex } from '../../domain/encoding.ts';
import { formatVkey } from '../../domain/log/vkey.ts';
import {
  EXECUTION_BUNDLE,
  JOB_BUNDLE,
  type ExecutionBundle,
  type JobBundle,
} from '../../domain/receipt/bundle.ts';
import type { Erasure } from '../../domain/receipt/erasure.ts';
import type { ExecutionReceipt } from '../../domain/receipt/execution-receipt.ts';
import type { JobSummary } from '../../domain/receipt/job-summary.ts';
import type { PlannedRow } from '../../domain/receipt/planned-row.ts';
import { specVerifier } from '../../domain/receipt/spec-facts.ts';
import type { Trust } from '../../domain/receipt/verdict.ts';
import type { VerifyTools } from '../../domain/receipt/verify.ts';
import { jobSpec, signedSpec, type SpecOptions } from './jobs.ts';
import { logged } from './logged.ts';

const ORIGIN = 'beacon.test/log';
const SALT = '5a'.repeat(32);
const ENDED_AT = '2026-01-01T00:00:10.000Z';
const software = { name: 'beacon', version: 'test' };

const sha256Hex = (bytes: string | Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const textOf = (bytes: Uint8Array) => fromUtf8(bytes)!;

export interface SignedJob {
  job: JobBundle;
  /** The bundle of the first execution. */
  execution: ExecutionBundle;
  trust: Trust;
  tools: VerifyTools;
  receiptKey: ReceiptKey;
  logKey: LogKey;
  receipts: ExecutionReceipt[];
  summary: JobSummary;
  /** Signs and logs other documents instead, under the same keys: for bundles that are whole but say something else. */
  remade(change: Remake): Promise<JobBundle>;
}

interface Remake {
  receipts?: ExecutionReceipt[];
  summary?: Partial<JobSummary>;
  /** The receipt key starts in the log after a foreign one did. */
  keySecond?: boolean;
  /** Receipt keys of the log in the order in which they start; default the one of the job. */
  keys?: readonly ReceiptKey[];
  /** Which of them signs receipt `index`, and (-1) the summary; default the last one. */
  signedBy?: (index: number) => number;
  /** Other statements in the places of the starts. */
  starts?: readonly SignedStatement[];
  /** The starts come after everything else. */
  startsLast?: boolean;
  /** Executions of which the erasure stands in the place of the receipt, and what it says. */
  erased?: readonly { index: number; change?: Partial<Erasure> }[];
  /** Who signs the checkpoint; default the log's key. */
  checkpointBy?: readonly [LogKey, ...LogKey[]];
}

/** A job of three regions as it comes out of a log, with real keys, in memory. */
export async function signedJob({
  regions = ['US', 'EU', 'APAC'],
  ...options
}: Omit<SpecOptions, 'id' | 'constraints'> = {}): Promise<SignedJob> {
  const spec = signedSpec(jobSpec({ id: 'job-1', regions, constraints: { min_regions: 2 }, ...options }));
  const { form, publicKey, rule, planned } = specVerifier(nodeVerifiers)(spec);
  const origin = { kind: 'job', id: 'job-1', spec_sha256: sha256Hex(spec), form, public_key: publicKey };
  const receiptKey = generateReceiptKey();
  const logKey = generateLogKey();
  const logSigner = logKey.signerFor(ORIGIN);
  const receipts = planned.map((row, i) => receiptOf(origin, row, i));

  const summaryOf = async (of: readonly ExecutionReceipt[]): Promise<JobSummary> => ({
    type: 'job-summary/v1',
    job_id: 'job-1',
    version: 1,
    origin,
    outcome: 'completed',
    rule,
    counts: { total: of.length, completed: of.length, failed: 0, cancelled: 0, expired: 0 },
    executions: await Promise.all(
      of.map(async (receipt) => ({
        execution_id: receipt.execution_id,
        outcome: receipt.outcome,
        receipt_sha256: toHex((await buildReceipt(receipt, receiptKey)).digest),
        region: receipt.region?.requested ?? null,
        ...(receipt.follows === undefined ? {} : { follows: receipt.follows }),
      })),
    ),
    manifest_cid: 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku',
    ended_at: ENDED_AT,
    salt: SALT,
    software,
  });

  async function bundle(
    of: ExecutionReceipt[],
    summary: JobSummary,
    { keySecond = false, keys = [receiptKey], startsLast = false, erased = [], ...change }: Remake = {},
  ): Promise<JobBundle> {
    const starts = change.starts ?? (await keyStarts(keys));
    const before = keySecond ? [await buildFirstKeyStart(generateReceiptKey())] : [];
    const signer = (index: number) => keys[change.signedBy?.(index) ?? keys.length - 1]!;
    const signedReceipts = await Promise.all(of.map((receipt, i) => buildReceipt(receipt, signer(i))));
    const signedSummary = await buildJobSummary(summary, signer(-1));
    const erasures = await Promise.all(
      erased.map(({ index, change: other }) => {
        const { execution_id, origin } = of[index]!;
        const receipt_cid = signedReceipts[index]!.cid;
        const said = {
          execution_id,
          job_id: origin.id,
          receipt_cid,
          reason: 'asked for',
          erased_at: ENDED_AT,
        };
        return buildErasure({ ...said, ...other }, signer(-1));
      }),
    );
    const documents = [...signedReceipts, signedSummary, ...erasures];
    const [first, ...others] = (change.checkpointBy ?? [logKey]).map((key) => key.signerFor(ORIGIN));
    const all = await logged(
      startsLast ? [...documents, ...starts] : [...before, ...starts, ...documents],
      first!,
      ...others,
    );
    const keyLinks = startsLast
      ? all.slice(documents.length)
      : all.slice(before.length).slice(0, starts.length);
    const links = startsLast ? all : all.slice(before.length + starts.length);
    return {
      media_type: JOB_BUNDLE,
      spec: toBase64(spec),
      summary: { summary: textOf(signedSummary.bytes), ...links[of.length]! },
      executions: signedReceipts
        .map((signed, i) => ({ receipt: textOf(signed.bytes), ...links[i]! }))
        .filter((_, i) => !erased.some(({ index }) => index === i)),
      ...(erased.length === 0 ? {} : { erased: links.slice(of.length + 1, documents.length) }),
      key_proofs: keyLinks,
    };
  }

  const summary = await summaryOf(receipts);
  const job = await bundle(receipts, summary);
  return {
    job,
    execution: {
      media_type: EXECUTION_BUNDLE,
      spec: job.spec,
      ...job.executions[0]!,
      key_proof: job.key_proofs[0]!,
    },
    trust: { vkeys: [formatVkey(logSigner)] },
    tools: { verifiers: nodeVerifiers, verifySpec: specVerifier(nodeVerifiers) },
    receiptKey,
    logKey,
    receipts,
    summary,
    remade: async (change) => {
      const of = change.receipts ?? receipts;
      return bundle(of, { ...(await summaryOf(of)), ...change.summary }, change);
    },
  };
}

/** The starts of receipt keys, each vouched for by the one before. */
function keyStarts(keys: readonly ReceiptKey[]): Promise<SignedStatement[]> {
  return Promise.all(
    keys.map((key, i) => (i === 0 ? buildFirstKeyStart(key) : buildKeyStart(key, keys[i - 1]!))),
  );
}

function receiptOf(origin: ExecutionReceipt['origin'], row: PlannedRow, index: number): ExecutionReceipt {
  const { region, model, question } = row;
  const inline = `{"answer":"from ${region ?? 'nowhere'}"}`;
  const started = '2026-01-01T00:00:00.000Z';
  return {
    type: 'execution-receipt/v1',
    execution_id: `0197a000-0000-7000-8000-00000000000${index}`,
    origin,
    ...(model === null ? {} : { model }),
    ...(question === null ? {} : { question }),
    outcome: 'completed',
    backend: 'local',
    region: { requested: region, claimed: null, observed: null, verified: false, method: 'none' },
    provider: 'local',
    image_requested: row.image,
    image_executed: `sha256:${'ab'.repeat(32)}`,
    isolation: 'process',
    attempts: [
      {
        attempt: 1,
        state: 'succeeded',
        backend: 'local',
        provider: 'local',
        region,
        started_at: started,
        ended_at: ENDED_AT,
        duration_ms: 12.5,
      },
    ],
    started_at: started,
    duration_ms: 12.5,
    input_sha256: row.inputSha256,
    output: { sha256: sha256Hex(inline), size: inline.length, inline },
    files: [],
    limits: { memory_bytes: null, wall_ms: 600_000 },
    ended_at: ENDED_AT,
    salt: SALT,
    software,
  };
}
