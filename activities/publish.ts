import { Context } from '@temporalio/activity';
import type { BatchResult, Publisher } from '../attestation/publish/publisher.ts';

export interface PublishInput {
  target: string;
}

const HEARTBEAT_EVERY_MS = 2_000;

export type PublishActivities = ReturnType<typeof createPublishActivities>;

export function createPublishActivities(publisher: Publisher) {
  return {
    /** One batch at one place. Repeating it changes nothing that is true already. */
    async publish({ target }: PublishInput): Promise<BatchResult> {
      const context = Context.current();
      const timer = setInterval(() => context.heartbeat(), HEARTBEAT_EVERY_MS);
      try {
        return await publisher.batch(target, context.cancellationSignal);
      } finally {
        clearInterval(timer);
      }
    },
  };
}
