import { z } from 'zod';
import { REGIONS } from '../../domain/jobspec/region.ts';
import { REGION_POLICIES } from '../../domain/region/judge.ts';
import { LIMITS } from '../../domain/limits.ts';

const region = z.string().describe(`${REGIONS.join(', ')}, or another name of one such as \`us-east\`.`);

const container = z
  .looseObject({
    image: z
      .string()
      .describe(
        '`builtin:<name>`, `oci:<folder>` or a registry reference (`[host[:port]/]path[:tag][@digest]`).',
      ),
    tag: z.string().optional().describe('Joined to a registry reference that has none; else empty.'),
    command: z.array(z.string()).nullish().describe('Empty: what the image says.'),
    environment: z
      .record(z.string(), z.string())
      .nullish()
      .describe('Set inside a sandbox only; a bare process refuses it.'),
    resources: z
      .looseObject({
        cpu: z
          .string()
          .optional()
          .meta({ examples: ['500m'] }),
        memory: z
          .string()
          .optional()
          .meta({ examples: ['256Mi'] }),
        gpu: z.string().optional(),
      })
      .nullish(),
  })
  .describe('What runs. It finds its input in the file `BEACON_INPUT` and writes to `BEACON_OUTPUT_DIR`.');

const benchmark = z.looseObject({
  name: z.string().min(1).max(LIMITS.specNameBytes),
  version: z.string().optional(),
  description: z.string().optional(),
  container,
  input: z.looseObject({
    type: z.string().optional().describe('prompt, dataset, file or command; nothing here depends on it.'),
    data: z.looseObject({}).nullish().describe('Handed to the program as it is.'),
    hash: z.string().min(1).describe('Of the input, in words of the client: kept, not checked.'),
  }),
  scoring: z
    .looseObject({ method: z.string().optional(), parameters: z.looseObject({}).nullish() })
    .nullish(),
  metadata: z.looseObject({}).nullish(),
});

const constraints = z.looseObject({
  regions: z.array(region).min(1).describe('Every model and question runs in each of them.'),
  min_regions: z.int().optional().describe('Regions that must complete; below 1 means 1.'),
  min_success_rate: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe('Share of executions that must complete; 0 means 0.67, which is two thirds.'),
  timeout: z
    .int()
    .optional()
    .describe('Nanoseconds that one execution may run over all its attempts; 0 means ten minutes.'),
  provider_timeout: z
    .int()
    .optional()
    .describe('Nanoseconds that one attempt may run; 0 means five minutes.'),
  fallback_regions: z
    .array(region)
    .optional()
    .describe('Where an execution may go when its own region is exhausted, in this order. Of Beacon.'),
  backends: z
    .array(z.string())
    .optional()
    .describe('Kinds of backend that may run it; none means any. Of Beacon.'),
  region_policy: z
    .enum(REGION_POLICIES)
    .optional()
    .describe(
      "Whether a provider's word for its region is enough; none means as the operator has it. Of Beacon.",
    ),
  max_cost: z.number().min(0).optional().describe('GLM that all executions together may cost.'),
  providers: z.array(z.looseObject({ region })).nullish(),
});

/** A signed job spec as a client sends it. Only for the document: intake reads the bytes itself (intake/accept.ts). */
export const jobSpec = z
  .looseObject({
    id: z
      .string()
      .optional()
      .describe(
        '1 to 128 letters, digits, `.`, `_` or `-`. Without one the service makes it, and no signature covers it.',
      ),
    jobspec_id: z.string().optional().describe('Taken when there is no `id`.'),
    version: z.string().optional(),
    benchmark,
    constraints,
    questions: z
      .array(z.string())
      .nullish()
      .describe('Each is asked by itself; required by bias benchmarks of version v1.'),
    models: z
      .array(
        z.looseObject({
          id: z.string(),
          name: z.string().optional(),
          provider: z.string().optional(),
          container_image: z.string().optional().describe("Instead of the benchmark's image."),
          regions: z
            .array(region)
            .nullish()
            .describe('Where this model runs; without them in all of the job.'),
        }),
      )
      .nullish(),
    visibility: z
      .enum(['public', 'private'])
      .optional()
      .describe('Of Beacon. Private jobs are shown to nobody else.'),
    metadata: z
      .looseObject({
        timestamp: z
          .string()
          .optional()
          .describe('RFC 3339. Required and held against the clock with `TRUST_ENFORCE`.'),
        nonce: z
          .string()
          .max(LIMITS.nonceBytes)
          .optional()
          .describe('Once per key. Required with `TRUST_ENFORCE`.'),
      })
      .nullish(),
    created_at: z.string().optional().describe('RFC 3339.'),
    runs: z.int().min(0).optional().describe('Kept; changes nothing.'),
    wallet_auth: z.looseObject({}).nullish().describe('Kept; changes nothing.'),
    signature: z.string().describe('Ed25519 over a canonical form of the rest, 64 bytes in standard base64.'),
    public_key: z.string().describe('32 bytes in standard base64.'),
  })
  .meta({
    id: 'JobSpec',
    description:
      'A signed job. The bytes received are kept, and the signature is checked on them before any default is filled. ' +
      'Members that Beacon does not know are kept and signed as well. `beacon sign` makes one.',
  });

/** A change that the key of a job asks for. */
export const signedRequest = z
  .looseObject({
    action: z.literal('cancel'),
    job_id: z.string(),
    timestamp: z.string().describe('RFC 3339; good for five minutes.'),
    nonce: z.string().describe('Once per key.'),
    signature: z
      .string()
      .describe(
        'Ed25519 over RFC 8785 of `{action, job_id, timestamp, nonce}`, 64 bytes in standard base64.',
      ),
    public_key: z.string().describe('32 bytes in standard base64: the key that signed the job.'),
  })
  .meta({ id: 'SignedRequest', description: 'A request that the key of the job signed.' });
