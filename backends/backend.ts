import type { Failure } from '../domain/failure.ts';
import type { ProviderFilter } from '../domain/jobspec/constraints.ts';
import type { Region } from '../domain/jobspec/region.ts';
import type { RegionClaim, RegionPolicy } from '../domain/region/judge.ts';

/** The interface every kind of place that executes implements (docs/architecture.md). A backend never sees the database. */
export interface Work {
  executionId: string;
  attempt: number;
  /** `<execution>-<attempt>`: containers, agreements and remote jobs carry this name, so leftovers can be found. */
  name: string;
  region: Region | null;
  /** `<registry reference>`, `oci:<path>` or `builtin:<name>`, tag already joined. */
  image: string;
  /** `sha256:…`: the digest that `image` is for this job, once an attempt of it has found out; null before. */
  imageDigest: string | null;
  command: string[];
  environment: Record<string, string>;
  resources: { cpu?: string; memory?: string };
  /** What the job asks of the places that run it; only backends that negotiate look at it. */
  asked: Asked;
  /** The bytes of the BEACON_INPUT file. */
  input: Uint8Array;
  /** What `negotiate` found for this attempt; only of backends that negotiate. */
  negotiated?: Negotiated;
}

/** What a place must offer for an execution, before there is an attempt. */
export type Needs = Pick<
  Work,
  'region' | 'image' | 'imageDigest' | 'command' | 'environment' | 'resources' | 'asked'
>;

/** A provider that could take the work, and what its region rests on. */
export interface Candidate {
  provider: string;
  name: string;
  /** What it says of its region. */
  claim: RegionClaim;
  /** Expected price of the whole rental, in the platform's unit. */
  estimate: string;
}

/** What a look at the market came to: best candidates first, and why the others are none. */
export interface Negotiated {
  candidates: Candidate[];
  seen: number;
  /** In which window of time offers were found that are right; absent: not told. */
  window?: 'strict' | 'relaxed';
  /** Offers that were dropped, by the rule that dropped them. */
  dropped: Record<string, number>;
}

/** An attempt that ended without its own clean-up, with what was recorded of it. */
export interface Trace {
  name: string;
  ids: Record<string, string>;
}

export interface Asked {
  /** Null: as the operator has it. */
  regionPolicy: RegionPolicy | null;
  /** GLM that the whole job may cost, as a decimal; null: not bounded by the job. */
  maxCost: string | null;
  providers: readonly ProviderFilter[];
}

export interface OutputLine {
  /** Unix time in microseconds. */
  timeUs: number;
  source: 'stdout' | 'stderr' | 'system';
  line: string;
}

export interface StoredBytes {
  sha256: string;
  size: number;
  /** Of the bytes as a UnixFS file; absent: not known yet. */
  cid?: string;
}

export interface Step {
  /** Aborted on cancellation, time-out or shutdown; the backend ends its whole process tree and returns. */
  signal: AbortSignal;
  /** How long this attempt may run, in milliseconds; enforced by the backend itself. */
  budgetMs: number;
  /** Commits ids of the outside world (container, agreement) before the effect that they name is relied on. */
  record(ids: Record<string, string>): Promise<void>;
  /** Says which digest an image is, before anything of it runs; answers the one that counts for the whole job. */
  pinImage(image: string, digest: string): Promise<string>;
  /** What the attempt is doing now, shown in the Temporal UI. */
  heartbeat(phase: string): void;
  /** One line of the program's output; bounded by the caller. */
  log(line: OutputLine): void;
  /** What asking providers came to, once it is known: kept for operators, told and counted. Never rejects. */
  negotiated(talks: Talks): Promise<void>;
  /** Holds what the attempt may cost of its job's budget, before anything can cost; again with another cap replaces it. */
  reserve(cost: Reservation): Promise<Reserved>;
  /** What was accepted of it; null: not known yet, and the cap stays held until the sweeper knows. */
  settle(accepted: string | null): Promise<void>;
  /** Stages bytes by content; only references travel further. */
  store(bytes: AsyncIterable<Uint8Array> | Uint8Array): Promise<StoredBytes>;
}

export interface Talks {
  /** Null: nobody approved. */
  provider: string | null;
  /** Of the approved offer. */
  rank: RegionClaim['class'] | null;
  /** In which window its offer was looked for; absent: not told. */
  window?: Negotiated['window'];
  /** From publishing the demand to the approval or the end. */
  durationMs: number;
  /** Who said no and in which words, the last of them last. */
  refusals: { provider: string; why: string }[];
  /** Whether the region was observed; null: not probed. */
  probe: 'passed' | 'failed' | null;
}

export interface Reservation {
  /** Payment platform, such as `erc20-polygon-glm`. */
  platform: string;
  /** The most that could ever be accepted, as a decimal (domain/money). */
  cap: string;
}

/** `left`: of the job's `max_cost`, where that does not hold the cap; then nothing is held. */
export type Reserved = { ok: true } | { ok: false; left: string };

/** What negotiating or admitting came to. */
export interface Placement {
  backend: string;
  /** Null until there is one. */
  provider: string | null;
  region: RegionEvidence;
}

export interface RegionEvidence {
  requested: Region | null;
  claimed: Region | null;
  observed: Region | null;
  verified: boolean;
  /** `none` when nobody looked. */
  method: string;
  /** What the method rests on, as JSON; it stands in the receipt under its hash. */
  evidence?: object;
}

export interface OutcomeFile extends StoredBytes {
  name: string;
  mime: string;
}

/** How an attempt ended, as far as the backend knows; everything in it ends up in the receipt. Unknown is null, never zero. */
export interface Outcome {
  /** Absent = the program succeeded. */
  failure?: Failure;
  placement: Placement;
  imageRequested: string;
  /** Digest of what really ran, or `none: host userland`. */
  imageExecuted: string | null;
  isolation: 'container' | 'bubblewrap' | 'process' | null;
  /** Wall clock, RFC 3339 with milliseconds, when the program began. */
  startedAt: string | null;
  /** Monotonic. */
  durationMs: number | null;
  output: StoredBytes | null;
  files: OutcomeFile[];
  /** Limit name to enforced value, null where the machine cannot enforce it. */
  limits: Record<string, number | null>;
  exitCode: number | null;
}

export interface AttendedBackend {
  kind: string;
  /** One heartbeating call holds the session. Resolves with a failed outcome for anything the program or provider did;
   *  rejects only when the backend itself broke (becomes `backend_error`) or `signal` was aborted. */
  execute(work: Work, step: Step): Promise<Outcome>;
  /** Looks for places without cost or trace; rejects when it cannot look now, which is worth another try. */
  negotiate?(needs: Needs, signal: AbortSignal): Promise<Negotiated>;
  /** Cleans up whatever is left of these attempts after a crash; "already gone" is success. */
  release(traces: readonly Trace[]): Promise<void>;
  /** At worker start: ends everything of ours whose name is not in `alive`. */
  reap?(alive: (name: string) => Promise<boolean>): Promise<void>;
}

export type Backend = AttendedBackend;
