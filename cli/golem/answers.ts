import { z } from 'zod';

/** What the service answers about Golem, as far as it is shown. */
const counts = z.record(z.string(), z.number());
const breaker = z.looseObject({
  Name: z.string(),
  state: z.string(),
  forced: z.boolean(),
  Requests: z.number(),
  Failures: z.number(),
  rejected: z.number(),
  processes: z.number(),
  LastFailTime: z.string().nullable(),
});
export const breakersAnswer = z.looseObject({ circuit_breakers: z.array(breaker) });
export const orderedAnswer = z.looseObject({ action: z.string(), names: z.array(z.string()) });
export const statusAnswer = z.looseObject({
  yagna: breaker.nullable(),
  wallet: z.looseObject({ platform: z.string(), balance: z.string(), readAt: z.string() }).nullable(),
  money: z.array(
    z.looseObject({
      platform: z.string(),
      accepted: z.string(),
      held: z.string(),
      unpaid: z.string(),
      unknown: z.number(),
    }),
  ),
  market: z.array(
    z.looseObject({
      region: z.string(),
      looked_at: z.string(),
      outcome: z.string(),
      seen: z.number(),
      candidates: z.number(),
      dropped: counts,
    }),
  ),
});
export const providersAnswer = z.looseObject({
  providers: z.array(
    z.looseObject({
      provider: z.string(),
      name: z.string(),
      region: z.string(),
      rank: z.string(),
      claimed: z.string().nullable(),
      estimate: z.string(),
      approved: z.number(),
      refused: z.number(),
      last_refusal: z.string().nullable(),
    }),
  ),
});
const look = z.looseObject({ seen: z.number(), dropped: counts, candidates: z.array(z.unknown()) });
const failedLook = z.looseObject({ failure: z.looseObject({ code: z.string(), message: z.string() }) });
const talks = z.looseObject({
  provider: z.string().nullable(),
  rank: z.string().nullable(),
  probe: z.string().nullable(),
  refused: z.number(),
  refusals: z.array(z.looseObject({ provider: z.string(), why: z.string() })),
});
export const negotiationsAnswer = z.looseObject({
  execution_id: z.string(),
  negotiations: z.array(
    z.looseObject({
      attempt: z.number().nullable(),
      region: z.string().nullable(),
      outcome: z.string(),
      recorded_at: z.string(),
      record: z.union([look, talks, failedLook, z.looseObject({})]),
    }),
  ),
});

export const isLook = (record: unknown): record is z.infer<typeof look> => look.safeParse(record).success;
export const isTalks = (record: unknown): record is z.infer<typeof talks> => talks.safeParse(record).success;
export const isFailedLook = (record: unknown): record is z.infer<typeof failedLook> =>
  failedLook.safeParse(record).success;
