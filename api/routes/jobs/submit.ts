import { z } from 'zod';
import type { Submitted } from '../../../store/submit-statement.ts';
import { LIMITS } from '../../../domain/limits.ts';
import { ApiError, type ErrorCode } from '../../errors.ts';
import { acceptJob, type IntakeDeps } from '../../intake/accept.ts';
import { createBodyGate } from '../../intake/body-gate.ts';
import { rawBody } from '../../plugins/body.ts';
import { jobSpec } from '../../openapi/job-spec.ts';
import type { RouteApp } from '../app-type.ts';

/** Whatever is wrong with a spec (docs/api.md), and what intake says when it has enough. */
const REFUSALS = [
  'invalid_body',
  'invalid_json',
  'validation_error',
  'missing_field:signature',
  'missing_field:public_key',
  'missing_field:metadata',
  'missing_field:timestamp',
  'missing_field:nonce',
  'invalid_field:timestamp',
  'invalid_encoding:public_key',
  'canonicalization_error',
  'signature_mismatch',
  'timestamp_invalid',
  'trust_violation:unknown',
  'trust_violation:revoked',
  'trust_violation:expired',
  'trust_violation:not_yet_valid',
  'replay_detected',
  'id_taken',
  'idempotency_key_reused',
  'rate_limit_exceeded',
  'intake_busy',
  'verification_timeout',
  'backlog_full',
  'protection_unavailable:replay',
  'unavailable',
] as const satisfies readonly ErrorCode[];

export function registerJobSubmit(app: RouteApp, deps: IntakeDeps): void {
  const gate = createBodyGate(deps.failureLimit);
  app.post(
    '/api/v1/jobs',
    {
      bodyLimit: LIMITS.bodyBytes,
      onRequest: gate.onRequest,
      config: { permission: 'submit', mutates: true },
      schema: {
        operationId: 'submitJob',
        summary: 'Submit a signed job.',
        description:
          'The job is stored when 202 is answered; Temporal may be down meanwhile. After a 5xx or a lost connection send the same bytes again: the answer says what became of them.',
        tags: ['jobs'],
        headers: z.object({
          'idempotency-key': z
            .string()
            .optional()
            .describe(
              'The same key and body of one signer submit once. At most 255 printable ASCII characters.',
            ),
        }),
        body: jobSpec,
        response: {
          200: z
            .object({ id: z.string(), idempotent: z.literal(true) })
            .describe('This job was stored before.'),
          202: z.object({ id: z.string(), status: z.literal('enqueued') }).describe('The job is stored.'),
        },
        answerHeaders: { 200: ['Location'], 202: ['Location'] },
        errors: REFUSALS,
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
      const { id, kind } = submitted;
      if (kind !== 'accepted' && kind !== 'known') throw refusal(submitted);
      reply.header('location', `/api/v1/jobs/${encodeURIComponent(id)}`);
      if (kind === 'accepted') return reply.code(202).send({ id, status: 'enqueued' });
      return reply.code(200).send({ id, idempotent: true });
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
