/**
 * Runs jobs on providers of the Golem Network (docs/golem.md). The SDK is loaded at the first connection: importing this
 * file costs nothing.
 */
import pLimit from 'p-limit';
import { regionOfCountry } from '../../domain/region/country.ts';
import type { AttendedBackend, Needs, Negotiated } from '../backend.ts';
import { runAttempt } from './attempt.ts';
import { createAlive, guardedRest } from './away.ts';
import { createBreaker, type Breaker } from './breaker.ts';
import { createConnections, YagnaRefused } from './connection.ts';
import { resolveImage } from './images.ts';
import type { GolemLog } from './log.ts';
import { createMarket, machineFor } from './market.ts';
import { claimOf, type Offer } from './offer.ts';
import { rank } from './rank.ts';
import type { RegionEvidenceSource } from './region-evidence.ts';
import { releaseAttempt } from './release.ts';
import { createRest, YagnaError } from './rest.ts';
import type { GolemSettings } from './settings.ts';
import { createStandings } from './standing.ts';
import { statusOf } from './waiting.ts';
import { Refusal } from '../refusal.ts';

export { golemSettings, networkNamed, type GolemSettings } from './settings.ts';

/** For the expected price of an offer: what a job asks for says when it must end, not how long it takes. */
const EXPECTED_SECONDS = 600;

export type GolemBackend = AttendedBackend &
  Required<Pick<AttendedBackend, 'negotiate'>> &
  AsyncDisposable & { readonly breaker: Breaker };

export interface GolemDeps {
  log: GolemLog;
  /** Where providers' requests come from. */
  evidence: RegionEvidenceSource;
}

/** Looks wait for their turn; this bounds what else may be under way: a few calls of each execution. */
const CALLS_AT_ONCE = 1_000;

const isCancelled = (error: unknown): boolean =>
  error instanceof Error && (error.name === 'CancelError' || error.name === 'AbortError');

/** Away or failing; what it refuses is no reason not to ask for something else. */
function isYagnasFault(error: unknown): boolean {
  if (error instanceof Refusal || error instanceof YagnaRefused) return false;
  if (error instanceof YagnaError) return error.status === undefined || error.status >= 500;
  // Whoever was answered, or asked no further, learned nothing of it: yagna passes on what providers do wrong as its own.
  if (statusOf(error) !== undefined || isCancelled(error)) return false;
  return true;
}

export function createGolemBackend(settings: GolemSettings, { log, evidence }: GolemDeps): GolemBackend {
  const breaker = createBreaker({ name: 'yagna', counts: isYagnasFault, atOnce: CALLS_AT_ONCE });
  const rest = guardedRest(createRest(settings, settings.waits.releaseCallMs), breaker);
  const alive = createAlive(rest);
  const guarded = { rest, alive, guard: breaker.run.bind(breaker) };
  const connections = createConnections(settings, guarded, log);
  const market = createMarket(settings, connections);
  const standings = createStandings(settings.waits.coolDownMs);
  const limited = pLimit(settings.negotiations);
  let looks = 0;

  async function negotiate(needs: Needs): Promise<Negotiated> {
    try {
      await resolveImage(needs, settings);
    } catch (error) {
      // The attempt says so; a registry that is away is worth another look.
      if (error instanceof Refusal && error.failure.code !== 'backend_unavailable')
        return { candidates: [], seen: 0, dropped: {} };
      throw error;
    }
    const { region } = needs;
    const claimed = (offers: readonly Offer[]) =>
      offers.map((offer) => ({ offer, claim: claimOf(offer, { ...settings, regionOfCountry }) }));
    const machine = machineFor(needs.resources, settings);
    // A scan of a daemon that is away sees an empty market, and a shared one sees what was there before.
    await alive();
    const { offers, window } = await breaker.run(() =>
      market.look({ region, machine }, (found) =>
        claimed(found).some(({ claim }) => region === null || claim.region === region),
      ),
    );
    const ranked = rank(claimed(offers), standings.of, {
      region,
      policy: needs.asked.regionPolicy ?? settings.regionPolicy,
      canProbe: evidence.canProbe,
      filters: needs.asked.providers.filter((one) => one.region === region),
      caps: settings.caps,
      rental: { seconds: EXPECTED_SECONDS, threads: machine.minCpuThreads },
      seed: String(looks++),
    });
    return { ...ranked, window };
  }

  return {
    kind: 'golem',
    breaker,
    // An open breaker is no answer of the market: it is asked again by Temporal, and no attempt is used.
    negotiate: (needs) => limited(negotiate, needs),
    execute: (work, step) =>
      runAttempt(work, step, { settings, connections, rest, standings, evidence, log }),
    async release(traces) {
      for (const { ids } of traces) await releaseAttempt(rest, ids);
    },
    async [Symbol.asyncDispose]() {
      await breaker[Symbol.asyncDispose]();
      await connections[Symbol.asyncDispose]();
    },
  };
}
