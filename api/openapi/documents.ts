import { z } from 'zod';
import { ERASURE_BUNDLE, EXECUTION_BUNDLE, JOB_BUNDLE } from '../../domain/receipt/bundle.ts';
import { EXECUTION_RECEIPT } from '../../domain/receipt/execution-receipt.ts';
import { TERMINAL_OUTCOMES } from '../../domain/states.ts';

/** The signed documents that are served byte for byte. Only for the OpenAPI document; `domain/receipt/` reads them. */
const sha256 = z.string().describe('SHA-256 in hex.');
const timeOrNull = z.iso.datetime().nullable();

export const failure = z
  .object({
    code: z.string().describe('Of a closed set (docs/receipt.md).'),
    message: z.string(),
    retryable: z.boolean().describe('Another try could succeed.'),
    mendable: z.boolean().describe('An operator could help.'),
    source: z.string().describe('Who caused it: program, provider, backend, operator or beacon.'),
  })
  .meta({ id: 'Failure' });

const file = z.object({
  name: z.string(),
  size: z.int(),
  mime: z.string(),
  sha256,
  cid: z.string().nullable(),
});

const decimal = z.string().regex(/^\d+\.\d{18}$/);
const cost = z
  .looseObject({
    platform: z.string(),
    cap: decimal.describe('No more than this could have been accepted.'),
    accepted: decimal.optional().describe('What had been accepted when the receipt was made.'),
    state: z.enum(['accepted', 'unknown']),
  })
  .describe('GLM, as decimals with 18 digits.');

export const executionReceipt = z
  .looseObject({
    type: z.literal(EXECUTION_RECEIPT),
    execution_id: z.string(),
    origin: z.looseObject({
      kind: z.string(),
      id: z.string(),
      spec_sha256: sha256,
      form: z.string().optional().describe('The canonical form under which the signature held.'),
      public_key: z.string().optional(),
    }),
    follows: z.string().optional(),
    model: z.string().optional(),
    question: z.object({ index: z.int(), text: z.string() }).optional(),
    outcome: z.enum(TERMINAL_OUTCOMES),
    failure: failure.optional(),
    backend: z.string().nullable(),
    region: z
      .looseObject({
        requested: z.string().nullable(),
        fallback: z.string().optional(),
        claimed: z.string().nullable(),
        observed: z.string().nullable(),
        verified: z.boolean(),
        method: z.string(),
        evidence: z.record(z.string(), z.unknown()).optional().describe('What `method` rests on.'),
        evidence_sha256: sha256.optional().describe('Of the canonical JSON of `evidence`.'),
      })
      .nullable(),
    provider: z.string().nullable(),
    image_requested: z.string(),
    image_executed: z.string().nullable(),
    isolation: z.string().nullable(),
    attempts: z.array(
      z.looseObject({
        attempt: z.int(),
        state: z.string(),
        backend: z.string(),
        provider: z.string().nullable(),
        region: z.string().nullable(),
        failure: failure.optional(),
        started_at: timeOrNull,
        ended_at: timeOrNull,
        duration_ms: z.number().nullable(),
        cost: cost.optional(),
      }),
    ),
    started_at: timeOrNull,
    duration_ms: z.number().nullable(),
    input_sha256: sha256,
    output: z
      .looseObject({ sha256, size: z.int(), cid: z.string().optional(), inline: z.string().optional() })
      .nullable(),
    files: z.array(file),
    cost: cost.optional().describe('Of all attempts together.'),
    limits: z.record(z.string(), z.number().nullable()).describe('Null: the machine could not enforce it.'),
    ended_at: z.iso.datetime(),
    salt: sha256.describe('Keeps a guessable receipt from being found by its hash.'),
    software: z.object({ name: z.string(), version: z.string() }),
  })
  .meta({
    id: 'ExecutionReceipt',
    description:
      'The signed statement of what ran where, on what, with which output, as canonical JSON (RFC 8785): its SHA-256 is its CID. What is not known is null (docs/receipt.md).',
  });

const link = {
  dsse: z.string().describe('The DSSE envelope.'),
  leaf: z.string().describe('The log entry.'),
  tlog_proof: z.string().describe('c2sp.org/tlog-proof@v1; all of a bundle lead to one checkpoint.'),
};
const logLink = z.object(link).meta({ id: 'LogLink', description: 'How one document stands in the log.' });
const receiptLink = z.object({ receipt: z.string().describe('Its exact bytes.'), ...link });
const spec = z.string().describe('The signed job spec as it was received, in base64.');

export const executionBundle = z
  .object({
    media_type: z.literal(EXECUTION_BUNDLE),
    spec: spec.optional(),
    ...receiptLink.shape,
    key_proof: logLink.describe('The start entry of the receipt key that signed.'),
  })
  .meta({ id: 'ExecutionBundle', description: 'Everything that checking one execution needs.' });

export const erasureBundle = z
  .object({
    media_type: z.literal(ERASURE_BUNDLE),
    erasure: logLink.describe('The signed entry that says so.'),
    key_proof: logLink,
    key_chain: z.array(logLink).optional(),
  })
  .meta({ id: 'ErasureBundle', description: 'The proof that an execution was erased.' });

export const jobBundle = z
  .object({
    media_type: z.literal(JOB_BUNDLE),
    spec,
    summary: z.object({ summary: z.string().describe('Its exact bytes.'), ...link }),
    executions: z.array(receiptLink),
    erased: z.array(logLink).optional().describe('The erasures of executions that are not among them.'),
    erased_later: z
      .array(erasureBundle)
      .optional()
      .describe('The same where they stand in a log that follows the closed one of the job.'),
    key_proofs: z.array(logLink),
  })
  .meta({ id: 'JobBundle', description: 'Everything that checking a whole job needs.' });
