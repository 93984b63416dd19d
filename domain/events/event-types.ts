/** Every type of event that Beacon itself writes. Payloads hold ids, hashes and sizes, never outputs (spec: core §7). */
export const EVENT_TYPES = [
  'job.accepted',
  'job.started',
  'job.cancel_requested',
  'job.completed',
  'job.failed',
  'job.cancelled',
  'job.expired',
  'execution.placed',
  'execution.started',
  'execution.attempt_failed',
  'execution.fallback',
  'execution.completed',
  'execution.failed',
  'execution.cancelled',
  'execution.expired',
  'negotiation.looked',
  'negotiation.ended',
  'payment.accepted',
  'payment.settled',
  'transparency.entry_appended',
  'ipfs.stored',
  'ipfs.pinned',
  'ipfs.announced',
] as const;
export type EventType = (typeof EVENT_TYPES)[number];

/** Fields of a payload; every payload also says when it happened (RFC 3339). */
export type EventPayload = Readonly<Record<string, unknown>> & { readonly timestamp: string };
