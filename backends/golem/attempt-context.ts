/** What the wrapped calls to yagna tell of the attempt on whose behalf the SDK makes them. */
import { AsyncLocalStorage } from 'node:async_hooks';

export type IdKind = 'allocation' | 'demand' | 'agreement' | 'activity' | 'batch';

export interface AttemptHooks {
  /** Commits an id as soon as it exists; rejecting ends the call that made it. */
  id(kind: IdKind, id: string): Promise<void>;
  countered(proposalId: string, counterId: string): void;
  counterFailed(proposalId: string, why: string): void;
  /** A provider's answer to a counter-proposal. */
  rejected(counterId: string, why: string): void;
  /** An offer that the SDK would not survive was kept from it. */
  unreadable(): void;
  /** Yagna knows the demand no more. */
  demandLost(): void;
  /** How many commands of the batch under way have ended. */
  results(count: number): void;
  /** Fires when nobody waits for offers of the demand any more. */
  negotiated: AbortSignal;
  /** Fires when the attempt is over. */
  over: AbortSignal;
}

export const attemptContext = new AsyncLocalStorage<AttemptHooks>();
