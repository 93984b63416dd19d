import { z } from 'zod';
import type { BusinessEvents } from '../../../observability/events.ts';
import { requestCancel } from '../../../store/cancel.ts';
import { getJobState } from '../../../store/job-reads.ts';
import type { Notifier } from '../../../store/notify.ts';
import type { Pool } from '../../../store/pool.ts';
import { ApiError } from '../../errors.ts';
import { whoAsks } from '../../plugins/signed-request.ts';
import { actorOf } from '../../principal.ts';
import { signedRequest } from '../../openapi/job-spec.ts';
import { jobId } from '../../schemas.ts';
import type { RouteApp } from '../app-type.ts';
import { viewerOf } from '../viewer.ts';

interface CancelDeps {
  pool: Pool;
  notifier: Pick<Notifier, 'notify'>;
  events: Pick<BusinessEvents, 'jobCancelRequested'>;
}

const answer = z.object({
  job_id: z.string(),
  previous_status: z.string(),
  cancel_requested: z.boolean().describe('False when the job had ended before.'),
});

/** Cancels what has not succeeded yet; outcomes that are staged already are attested as they were. */
export function registerJobCancel(app: RouteApp, { pool, notifier, events }: CancelDeps): void {
  app.post(
    '/api/v1/jobs/:id/cancel',
    {
      config: { permission: 'change-job', mutates: true },
      schema: {
        operationId: 'cancelJob',
        summary: 'Ask for the end of a job.',
        description:
          "An operator sends his token and no body. Everybody else sends a request signed by the job's key. Outcomes that are there already are attested as they were.",
        tags: ['jobs'],
        params: jobId,
        body: signedRequest,
        response: {
          200: answer.describe('The job had ended before.'),
          202: answer.describe('It will end soon.'),
        },
        errors: [
          'invalid_json',
          'unauthorized',
          'invalid_auth_format',
          'invalid_token',
          'admin_auth_not_configured',
          'invalid_signed_request',
          'forbidden',
          'job_not_found',
          'replay_detected',
        ],
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const { principal, nonce } = whoAsks(request, { action: 'cancel', jobId: id });
      const job = await getJobState(pool, id, viewerOf(principal));
      if (job === undefined) throw new ApiError('job_not_found');
      if (principal.kind !== 'operator' && principal.id !== job.owner) throw new ApiError('forbidden');
      const cancelled = await requestCancel(pool, {
        jobId: id,
        actor: actorOf(principal),
        ...(nonce === undefined ? {} : { nonce }),
      });
      switch (cancelled.kind) {
        case 'unknown':
          throw new ApiError('job_not_found');
        case 'nonce_spent':
          throw new ApiError('replay_detected', {
            message: 'replay detected: nonce already used',
            details: { reason: 'nonce_used' },
          });
        case 'ended':
          return reply
            .code(200)
            .send({ job_id: id, previous_status: cancelled.previous, cancel_requested: false });
        case 'requested':
          notifier.notify('outbox');
          notifier.notify('events');
          events.jobCancelRequested({ jobId: id });
          return reply
            .code(202)
            .send({ job_id: id, previous_status: cancelled.previous, cancel_requested: true });
      }
    },
  );
}
