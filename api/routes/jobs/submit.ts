import { z } from 'zod';
import type { Submitted } from '../../../store/submit-statement.ts';
import { ApiError } from '../../errors.ts';
import { LIMITS } from '../../../domain/limits.ts';
import { acceptJob, type IntakeDeps } from '../../intake/accept.ts';
import { createBodyGate } from '../../intake/body-gate.ts';
import { rawBody } from '../../plugins/body.ts';
import { problem } from '../../schemas.ts';
import type { RouteApp } from '../app-type.ts';

const signedSpec = z
  .looseObject({
    id: z.string().optional(),
    benchmark: z.looseObject({}),
    constraints: z.looseObject({ regions: z.array(z.string()) }),
    metadata: z.looseObject({ timestamp: z.string().optional(), nonce: z.string().optional() }).optional(),
    signature: z.string().describe('Ed25519 over a canonical form, 64 bytes in standard base64.'),
    public_key: z.string().describe('32 bytes in standard base64.'),
  })
  .describe('A signed JobSpec; the bytes received are kept, and the signature is checked on them.');

export function registerJobSubmit(app: RouteApp, deps: IntakeDeps): void {
  const gate = createBodyGate(deps.failureLimit);
  app.post(
    '/api/v1/jobs',
    {
      bodyLimit: LIMITS.bodyBytes,
      onRequest: gate.onRequest,
      config: { permission: 'submit', mutates: true },
      schema: {
        summary: 'Submit a signed job.',
        tags: ['jobs'],
        headers: z.object({ 'idempotency-key': z.string().optional() }),
        body: signedSpec,
        response: {
          200: z
            .object({ id: z.string(), idempotent: z.literal(true) })
            .describe('This job was stored before.'),
          202: z.object({ id: z.string(), status: z.literal('enqueued') }),
          '4xx': problem,
          '5xx': problem,
        },
      },
    },
    async (request, reply) => {
      const raw = rawBody(request.body);
      const place = raw.length > LIMITS.specVerifiedInlineBytes ? gate.takeOver(request) : undefined;
      const accepted = acceptJob(deps, {
        raw,
        address: request.ip,
        idempotencyKey: request.headers['idempotency-key'],
      });
      const submitted = await (place === undefined ? accepted : accepted.finally(() => place.release()));
      reply.header('location', `/api/v1/jobs/${encodeURIComponent(submitted.id)}`);
      if (submitted.kind === 'accepted')
        return reply.code(202).send({ id: submitted.id, status: 'enqueued' });
      if (submitted.kind === 'known') return reply.code(200).send({ id: submitted.id, idempotent: true });
      throw refusal(submitted);
    },
  );
}

function refusal(submitted: Exclude<Submitted, { kind: 'accepted' | 'known' }>): ApiError {
  const { id } = submitted;
  const details = { job_id: id };
  switch (submitted.kind) {
    case 'replay':
      return new ApiError('replay_detected', {
        message:
          submitted.of === 'nonce'
            ? `replay detected: nonce already used by job ${id}`
            : `replay detected: this signed content is job ${id} already`,
        details: { ...details, reason: submitted.of === 'nonce' ? 'nonce_used' : 'content_known' },
      });
    case 'id_taken':
      return new ApiError('id_taken', {
        message: `the job id ${id} is taken by another key or content: sign with another id, or leave the id out`,
        details: { ...details, field: 'id' },
      });
    case 'idempotency_key_reused':
      return new ApiError('idempotency_key_reused', {
        message: `this Idempotency-Key was used with another body, for job ${id}: use a new key`,
        details,
      });
  }
}
