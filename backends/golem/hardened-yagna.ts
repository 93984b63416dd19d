/**
 * A YagnaApi whose calls the SDK survives. Its version 3.6.0 dies of one failed poll for offers, of an offer without
 * prices and of a rejection without a reason; spins without a pause while the daemon is away; and gives a running program
 * up at the first lost connection. Each cure has a test in hardened-yagna.test.ts.
 */
import { attemptContext } from './attempt-context.ts';
import type { Breaker } from './breaker.ts';
import { isPriced } from './offer.ts';
import type { Golem, Sdk } from './sdk.ts';
import type { GolemSettings } from './settings.ts';
import { cancelable, messageOf, statusOf, type Cancelable, type Held } from './waiting.ts';

export type Yagna = Golem.YagnaApi;

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 10_000;
/** The polls themselves last five seconds; a daemon that holds one longer is stuck. */
const POLL_BOUND_MS = 20_000;
const POLL_SECONDS = 5;
const OFFERS_AT_ONCE = 100;

const pauseMs = (failed: number): number => Math.min(FIRST_PAUSE_MS * 2 ** failed, LONGEST_PAUSE_MS);

export interface HardenedOptions extends Pick<GolemSettings, 'yagnaUrl' | 'apiKey'> {
  logger: Golem.Logger;
  awayMs: number;
  /** Rejects while yagna is away; cheap however often it is asked. After a failure it is asked before the same again. */
  alive(): Promise<void>;
  /** Every request goes through it, so that none is made of a daemon that is away. */
  guard: Breaker['run'];
}

export function hardenedYagna(
  sdk: Sdk,
  { yagnaUrl, apiKey, logger, awayMs, alive, guard }: HardenedOptions,
): Yagna {
  const yagna = new sdk.YagnaApi({ apiKey, basePath: yagnaUrl.replace(/\/+$/, ''), logger });
  const { market, payment, activity, identity, gsb } = yagna;
  const clients = [market, payment, activity.control, activity.state, identity, gsb];
  // Some of them share one.
  for (const requests of new Set(clients.map(({ httpRequest }) => httpRequest)))
    patch(
      requests,
      'request',
      (call) =>
        (...args) =>
          cancelable((held) => guard(() => held.call(call(...args)))),
    );
  patch(market, 'collectAgreementEvents', (call) => patient(call, alive));
  patch(payment, 'getInvoiceEvents', (call) => patient(call, alive));
  patch(payment, 'getDebitNoteEvents', (call) => patient(call, alive));
  patch(market, 'collectOffers', (call) => offers(call, alive));
  patch(market, 'endScan', endingNever);
  patch(
    market,
    'subscribeDemand',
    (call) =>
      (...args) =>
        cancelable(async (held) => {
          const id = await held.call(call(...args));
          if (typeof id !== 'string') return id;
          const context = attemptContext.getStore();
          // Unsubscribed while it was being made: the SDK no longer knows of it.
          if (context?.negotiated.aborted === true) void market.unsubscribeDemand(id).catch(() => undefined);
          await context?.id('demand', id);
          return id;
        }),
  );
  patch(
    market,
    'counterProposalDemand',
    (call) =>
      (...args) =>
        cancelable(async (held) => {
          const context = attemptContext.getStore();
          try {
            const id = await held.call(call(...args));
            if (typeof id === 'string') context?.countered(args[1], id);
            return id;
          } catch (error) {
            context?.counterFailed(args[1], messageOf(error));
            throw error;
          }
        }),
  );
  patch(
    market,
    'createAgreement',
    (call) =>
      (...args) =>
        cancelable(async (held) => {
          const id = await held.call(call(...args));
          if (typeof id === 'string') await attemptContext.getStore()?.id('agreement', id);
          return id;
        }),
  );
  patch(
    activity.control,
    'createActivity',
    (call) =>
      (...args) =>
        cancelable(async (held) => {
          const made = await onceMore(held, () => call(...args));
          if (typeof made === 'object' && 'activityId' in made)
            await attemptContext.getStore()?.id('activity', made.activityId);
          return made;
        }),
  );
  patch(
    activity.control,
    'exec',
    (call) =>
      (...args) =>
        cancelable(async (held) => {
          const id: unknown = await held.call(call(...args));
          if (typeof id === 'string') await attemptContext.getStore()?.id('batch', id);
          return id as Awaited<ReturnType<typeof call>>;
        }),
  );
  patch(
    activity.control,
    'getExecBatchResults',
    (call) =>
      (...args) =>
        cancelable(async (held) => {
          const context = attemptContext.getStore();
          const until = performance.now() + awayMs;
          for (let failed = 0; ; failed++) {
            try {
              if (failed > 0) await alive();
              const results = await held.call(call(...args), POLL_BOUND_MS);
              context?.results(results.length);
              return results;
            } catch (error) {
              // Yagna itself is away, which says nothing of the provider.
              const away = statusOf(error) === undefined && performance.now() < until;
              if (!away || context?.over.aborted !== false) throw error;
              await held.delay(pauseMs(failed));
            }
          }
        }),
  );
  return yagna;
}

type Call<A extends unknown[], T> = (...args: A) => Cancelable<T>;
type CallOf<F> = F extends (...args: infer A) => PromiseLike<infer T> ? Call<A, T> : never;

/** Puts another function in a method's place; its object stays `this`. */
function patch<O extends object, K extends keyof O>(
  object: O,
  name: K,
  wrap: (call: CallOf<O[K]>) => CallOf<O[K]>,
): void {
  const original = object[name] as (...args: unknown[]) => unknown;
  object[name] = wrap(original.bind(object) as CallOf<O[K]>) as O[K];
}

/** A poll whose failure comes late enough that whoever polls again at once does not spin. */
function patient<A extends unknown[], T>(call: Call<A, T>, alive: () => Promise<void>): Call<A, T> {
  let failed = 0;
  return (...args) =>
    cancelable(async (held) => {
      try {
        if (failed > 0) await alive();
        const events = await held.call(call(...args), POLL_BOUND_MS);
        failed = 0;
        return events;
      } catch (error) {
        await held.delay(pauseMs(failed++));
        throw error;
      }
    });
}

type ProposalEvents = Awaited<ReturnType<Yagna['market']['collectOffers']>>;

/** Offers until the demand is gone: failures are waited out, and what would kill the SDK is left out. */
function offers(
  call: Call<[string, number?, number?], ProposalEvents>,
  alive: () => Promise<void>,
): Call<[string, number?, number?], ProposalEvents> {
  return (demandId) =>
    cancelable(async (held) => {
      const context = attemptContext.getStore();
      for (let failed = 0; ; failed++) {
        if (context?.negotiated.aborted === true) throw gone();
        try {
          if (failed > 0) await alive();
          const events = await held.call(call(demandId, POLL_SECONDS, OFFERS_AT_ONCE), POLL_BOUND_MS);
          return events.filter((event) => survivable(event));
        } catch (error) {
          if (statusOf(error) === 404) {
            if (context?.negotiated.aborted === false) context.demandLost();
            throw error;
          }
          if (held.signal.aborted) throw error;
          await Promise.race([held.delay(pauseMs(failed)), fired(context?.negotiated)]);
        }
      }
    });
}

const gone = (): Error => Object.assign(new Error('the demand is not waited for any more'), { status: 404 });

function fired(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true }));
}

/** Tells rejections, and gives one without a reason the reason that the SDK reads. */
function survivable(event: ProposalEvents[number]): boolean {
  const context = attemptContext.getStore();
  const raw = event as unknown as {
    eventType: string;
    proposal?: { properties?: unknown; issuerId?: unknown };
    proposalId?: unknown;
    reason?: { message?: unknown } | null;
  };
  switch (raw.eventType) {
    case 'ProposalEvent':
      if (isPriced(raw.proposal?.properties) && typeof raw.proposal.issuerId === 'string') return true;
      context?.unreadable();
      return false;
    case 'ProposalRejectedEvent': {
      const message = raw.reason?.message;
      const why = typeof message === 'string' ? message.slice(0, 500) : 'no reason given';
      raw.reason = { message: why };
      if (typeof raw.proposalId === 'string') context?.rejected(raw.proposalId, why);
      return true;
    }
    default:
      return false;
  }
}

/** A scan is given back behind the SDK's back, where nobody would hear that it failed. */
function endingNever<A extends unknown[]>(
  call: Call<A, { message?: string }>,
): Call<A, { message?: string }> {
  return (...args) => cancelable((held) => held.call(call(...args)).catch(() => ({})));
}

/** An activity that a provider was too slow to make, once more. */
async function onceMore<T>(held: Held, call: () => Cancelable<T>): Promise<T> {
  try {
    return await held.call(call());
  } catch (error) {
    const status = statusOf(error);
    if (held.signal.aborted || (status !== 408 && status !== 500)) throw error;
    await held.delay(FIRST_PAUSE_MS);
    return held.call(call());
  }
}
