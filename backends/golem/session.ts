/**
 * One attempt on the network:
 *   checked   -> image, command, candidates: what fails here costs nothing
 *   intended  -> token and time-out of the allocation committed, before the first call
 *   allocated -> money held for the worst case
 *   approved  -> an agreement with one candidate; from here on it is the attempt's provider, and its time runs
 *   deployed  -> image started; the region is probed before anything of the job is sent
 *   ran       -> the program ended, its result came back
 *   settled   -> activity and agreement ended, the invoice answered, the allocation given back
 * Leaving it anywhere ends what costs; what is still owed is the sweeper's.
 */
import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Outcome, Step, Talks, Work } from '../backend.ts';
import {
  judgeRegion,
  type RegionClaim,
  type RegionObservation,
  type RegionPolicy,
  type RegionRefusal,
} from '../../domain/region/judge.ts';
import { Refusal } from '../refusal.ts';
import { agree, type Agreed } from './agree.ts';
import { type AttemptHooks, type IdKind } from './attempt-context.ts';
import type { Connections, HeldConnection } from './connection.ts';
import type { Gvmi } from './images.ts';
import type { GolemLog } from './log.ts';
import { machineFor } from './market.ts';
import { ProviderFault, runProgram } from './program.ts';
import { worstCase } from './price.ts';
import { isProbing, manifestFor, NETWORK_CAPABILITIES, probe } from './probe.ts';
import type { RegionEvidenceSource } from './region-evidence.ts';
import { releaseAttempt, type RecordedIds } from './release.ts';
import { answered, type Rest } from './rest.ts';
import { loadSdk, type Golem } from './sdk.ts';
import { platformOf, type GolemSettings } from './settings.ts';
import { settle } from './settle.ts';
import type { Standings } from './standing.ts';
import { messageOf } from './waiting.ts';
import { placesIn } from './wrapper.ts';

export interface SessionDeps {
  settings: GolemSettings;
  connections: Connections;
  rest: Rest;
  standings: Standings;
  evidence: RegionEvidenceSource;
  log: GolemLog;
}

/** The agreement outlasts the work by this: deploying before it, ending after it, clocks that differ. */
const RENTAL_MARGIN_MS = 5 * 60_000;
/** Providers refuse agreements shorter than five minutes. */
const LEAST_RENTAL_MS = 10 * 60_000;
/** The invoice is accepted from the allocation, so it must still be there when the agreement is over. */
const ALLOCATION_MARGIN_MS = 15 * 60_000;
const CLEAN_UP_TRIES = 3;
const CLEAN_UP_AGAIN_MS = 1_000;

export class Session {
  readonly #work: Work;
  readonly #step: Step;
  readonly #deps: SessionDeps;
  readonly #connection: HeldConnection;
  readonly #outcome: Outcome;
  readonly #over = new AbortController();
  readonly #ids: RecordedIds = {};
  #agreed: Agreed | undefined;
  #recording: Promise<unknown> = Promise.resolve();
  /** The region is looked for before the input is sent. */
  readonly #probing: boolean;
  #good: boolean | null = null;
  /** What asking providers came to. */
  #talks: Talks | undefined;
  /** Something is held of the job's budget. */
  #reserved = false;

  constructor(work: Work, step: Step, deps: SessionDeps, connection: HeldConnection, outcome: Outcome) {
    this.#work = work;
    this.#step = step;
    this.#deps = deps;
    this.#connection = connection;
    this.#outcome = outcome;
    this.#probing = isProbing(work, this.#policy(), deps.evidence.canProbe);
    setMaxListeners(0, this.#over.signal, step.signal);
  }

  /** From here on the attempt has a provider, whose doing things may be. */
  get approved(): boolean {
    return this.#agreed !== undefined;
  }

  async run(gvmi: Gvmi, script: string): Promise<void> {
    const { settings, rest, standings } = this.#deps;
    const step = this.#step;
    const machine = machineFor(this.#work.resources, settings);
    const rentalMs = Math.max(step.budgetMs + RENTAL_MARGIN_MS, LEAST_RENTAL_MS);
    const cap = worstCase(settings.caps, rentalMs, machine.minCpuThreads);
    await this.#intend(rentalMs);
    step.heartbeat('allocating');
    const platform = platformOf(settings.network);
    const held = await step.reserve({ platform, cap });
    if (!held.ok)
      throw new Refusal(
        'max_cost_exceeded',
        `an attempt could cost ${cap} GLM, and only ${held.left} are left of max_cost`,
      );
    this.#reserved = true;
    const allocation = await this.#allocate(cap, platform);
    await this.#note({ allocation: allocation.id });
    step.heartbeat('allocated');
    const began = performance.now();
    const talks: Talks = { provider: null, rank: null, durationMs: 0, refusals: [], probe: null };
    this.#talks = talks;
    const agreed = await agree(this.#connection, rest, {
      candidates: this.#work.negotiated!.candidates,
      token: this.#ids.token!,
      workload: {
        imageUrl: gvmi.url,
        imageHash: gvmi.sha3,
        runtime: { name: 'vm' },
        ...machine,
        ...(this.#probing
          ? { capabilities: NETWORK_CAPABILITIES, manifest: manifestFor(settings.echoUrl ?? '', new Date()) }
          : {}),
      },
      subnet: settings.subnet,
      allocation,
      caps: settings.caps,
      rentalSeconds: Math.ceil(rentalMs / 1_000),
      waits: settings.waits,
      signal: step.signal,
      hooks: this.#hooks(),
      refused(provider, why) {
        standings.refused(provider);
        talks.refusals.push({ provider, why });
      },
      heartbeat: (phase) => step.heartbeat(phase),
    }).finally(() => {
      talks.durationMs = performance.now() - began;
    });
    this.#agreed = agreed;
    const { candidate } = agreed;
    const { window } = this.#work.negotiated ?? {};
    Object.assign(talks, { provider: candidate.provider, rank: candidate.claim.class, window });
    standings.begun(candidate.provider);
    this.#outcome.placement.provider = candidate.provider;
    this.#judge(candidate.claim, null);
    const watched = this.#connection.payments.watch({
      agreement: agreed.agreement.id,
      allocation: allocation.id,
      cap,
    });
    try {
      await this.#work_(agreed, gvmi, script, watched.overpriced);
      this.#good = true;
    } catch (error) {
      this.#good = error instanceof ProviderFault ? false : null;
      throw error;
    } finally {
      const settled = await settle(rest, {
        ids: this.#ids,
        agreement: agreed.agreement.id,
        watched,
        // Whoever cancels does not wait for a bill.
        invoiceMs: step.signal.aborted ? 0 : settings.waits.invoiceMs,
        heartbeat: (phase) => step.heartbeat(phase),
      });
      if (settled.state !== 'unknown') {
        this.#ids.settled = settled.state;
        // Debit notes that were accepted before stay paid when the invoice is refused.
        await this.#settle(settled.state === 'accepted' ? settled.amount : (watched.accepted() ?? '0'));
      }
    }
  }

  async #work_(agreed: Agreed, gvmi: Gvmi, script: string, overpriced: Promise<string>): Promise<void> {
    const { settings } = this.#deps;
    const folder = await mkdtemp(join(tmpdir(), 'beacon-golem-'));
    try {
      this.#outcome.isolation = null;
      this.#outcome.imageExecuted = `sha3-224:${gvmi.sha3}`;
      await runProgram({
        connection: this.#connection,
        agreed,
        work: this.#work,
        step: this.#step,
        script,
        places: placesIn(gvmi.volume),
        folder,
        waits: settings.waits,
        hooks: { ...this.#hooks(), ...NOT_NEGOTIATING },
        locate: (exe, signal) => this.#locate(agreed.candidate.claim, exe, signal),
        overpriced,
        outcome: this.#outcome,
      });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  async #locate(claim: RegionClaim, exe: Golem.ExeUnit, signal: AbortSignal): Promise<void> {
    if (!this.#probing) return;
    const { evidence, settings } = this.#deps;
    this.#step.heartbeat('probing');
    const withinMs = settings.waits.probeMs;
    const observation = await probe(exe, evidence, this.#work, { signal, withinMs });
    const refusal = this.#judge(claim, observation);
    if (this.#talks !== undefined)
      this.#talks.probe = this.#outcome.placement.region.verified ? 'passed' : 'failed';
    if (refusal === null) return;
    const where = observation?.country ?? 'nowhere';
    throw new ProviderFault(
      'region_not_observed',
      `${refusal}: the provider was seen in ${where}, asked for is ${this.#work.region}`,
    );
  }

  async #allocate(amount: string, platform: string): Promise<Golem.Allocation> {
    const { rest } = this.#deps;
    const address = this.#connection.identity;
    const timeout = this.#ids.allocation_timeout!;
    const allocationId = await rest
      .allocate({ amount, platform, address, timeout })
      .catch((error: unknown) => {
        if (!answered(error, 400)) throw error;
        throw new Refusal('funds_insufficient', `yagna holds no money for an attempt: ${messageOf(error)}`);
      });
    const { Allocation } = loadSdk();
    return new Allocation({
      allocationId,
      address,
      paymentPlatform: platform,
      totalAmount: amount,
      spentAmount: '0',
      remainingAmount: amount,
      timestamp: new Date().toISOString(),
      timeout,
      makeDeposit: false,
    });
  }

  #policy(): RegionPolicy {
    return this.#work.asked.regionPolicy ?? this.#deps.settings.regionPolicy;
  }

  async #settle(accepted: string): Promise<void> {
    if (!this.#reserved) return;
    this.#reserved = false;
    await this.#step.settle(accepted);
  }

  /** What is known of where it runs; refused when that is not where the job may run. */
  #judge(claim: RegionClaim, observation: RegionObservation | null): RegionRefusal | null {
    const { region: requested } = this.#work;
    if (requested === null) return null;
    const policy = this.#policy();
    const judged = judgeRegion({ requested, policy, claim, observation });
    this.#outcome.placement.region = judged.region;
    return judged.run ? null : judged.refusal;
  }

  /** Leaves nothing that costs; what cannot be reached now is found again by what was recorded. */
  async end(): Promise<void> {
    this.#over.abort();
    const { rest, standings, log } = this.#deps;
    if (this.#agreed !== undefined) standings.ended(this.#agreed.candidate.provider, this.#good);
    await this.#recording.catch(() => undefined);
    if (this.#talks !== undefined) await this.#step.negotiated(this.#talks);
    for (let tries = 1; ; tries++) {
      try {
        const left = await releaseAttempt(rest, this.#ids, { known: this.#agreed !== undefined });
        if (left.agreement === null) await this.#settle('0');
        return;
      } catch (error) {
        // A result that is there is not lost for it: the sweeper ends what could not be ended now.
        const last = tries === CLEAN_UP_TRIES || this.#step.signal.aborted;
        if (last) log.warn({ err: error, attempt: this.#work.name }, 'an attempt could not be cleaned up');
        if (last) return;
        await delay(CLEAN_UP_AGAIN_MS);
      }
    }
  }

  async #intend(rentalMs: number): Promise<void> {
    const now = Date.now();
    await this.#note({
      token: randomBytes(16).toString('hex'),
      since: new Date(now - 60_000).toISOString(),
      allocation_timeout: unlikelyTime(now + rentalMs + ALLOCATION_MARGIN_MS),
    });
  }

  #note(ids: RecordedIds): Promise<void> {
    Object.assign(this.#ids, ids);
    const mine = this.#recording.then(() => this.#step.record(this.#ids as Record<string, string>));
    this.#recording = mine.catch(() => undefined);
    return mine;
  }

  #hooks(): Pick<AttemptHooks, 'id' | 'results' | 'over'> {
    return {
      over: this.#over.signal,
      results: () => undefined,
      id: (kind: IdKind, id: string) =>
        this.#note(
          kind === 'demand' || kind === 'agreement'
            ? { [kind]: this.#ids[kind] === undefined ? id : `${this.#ids[kind]} ${id}` }
            : { [kind]: id },
        ),
    };
  }
}

/** Of an attempt that has its agreement. */
const NOT_NEGOTIATING = {
  negotiated: AbortSignal.abort(),
  countered: () => undefined,
  counterFailed: () => undefined,
  rejected: () => undefined,
  unreadable: () => undefined,
  demandLost: () => undefined,
};

/** With microseconds that nobody else chooses. */
function unlikelyTime(ms: number): string {
  const micros = String(randomBytes(4).readUInt32BE() % 1_000).padStart(3, '0');
  return new Date(ms).toISOString().replace('Z', `${micros}Z`);
}
