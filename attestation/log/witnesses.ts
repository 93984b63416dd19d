/**
 * Asks the witnesses of the policy for their cosignatures, for as long as this process leads. In a round all that have not
 * cosigned the newest checkpoint are asked at once; a witness that fails rests, longer each time. What a witness says against
 * the log ends the term: nothing is signed any more (spec: core §13).
 */
import type { CosignerKey } from '../../domain/log/cosignature.ts';
import type { Policy, PolicyWitness } from '../../domain/log/policy.ts';
import { toHex } from '../../domain/encoding.ts';
import { pause } from '../../domain/pause.ts';
import type { BusinessEvents } from '../../observability/events.ts';
import { activeSpan, inSpan } from '../../observability/tracing.ts';
import { addCosignatures, readCosigners, readCosignedSize, showUpTo } from '../../store/log-cosignatures.ts';
import type { Notifier } from '../../store/notify.ts';
import type { Pool } from '../../store/pool.ts';
import { askWitness, type Submission, type WitnessAnswer } from '../witness/client.ts';
import { LogServiceError } from './error.ts';
import { createLogReader } from './reader.ts';

/** Between rounds: under load one checkpoint in a second is cosigned, not each. */
const SPACING_MS = 1_000;
const LOOK_EVERY_MS = 50;
const REST_MAX_MS = 60_000;

/** `publish-then-collect`: a signed checkpoint is shown at once. `wait`: when the policy is met. */
export const WITNESS_MODES = ['publish-then-collect', 'wait'] as const;

export interface Witnessing {
  policy: Policy;
  mode: (typeof WITNESS_MODES)[number];
  spacingMs?: number;
  timeoutMs?: number;
}

export interface WitnessesOptions {
  pool: Pool;
  logId: string;
  witnessing: Witnessing;
  notifier: Notifier;
  /** The newest checkpoint that stands committed, shown or not. */
  newest(): { size: number; note: string } | undefined;
  shown(size: number): void;
  /** Trace context of the batch that was appended last. */
  trace?(): string | undefined;
  events?: Pick<BusinessEvents, 'witnessAsked'> | undefined;
}

interface Asked {
  witness: PolicyWitness;
  /** The size that it cosigned last, as far as known. */
  size: number;
  restMs: number;
  restsUntil: number;
}

export async function askWitnesses(options: WitnessesOptions, term: AbortSignal): Promise<void> {
  const { pool, logId, witnessing, newest } = options;
  const spacingMs = witnessing.spacingMs ?? SPACING_MS;
  const all: Asked[] = await Promise.all(
    witnessing.policy.witnesses
      .filter(({ url }) => url !== undefined)
      .map(async (witness) => ({
        witness,
        size: await readCosignedSize(pool, logId, storedKey(witness.key)),
        restMs: spacingMs,
        restsUntil: 0,
      })),
  );
  let met = -1;
  let looked = -1;
  while (!term.aborted) {
    const head = newest();
    const now = performance.now();
    const due =
      head === undefined ? [] : all.filter((one) => one.size !== head.size && one.restsUntil <= now);
    if (head !== undefined && (due.length > 0 || looked !== head.size)) {
      await Promise.all(due.map((one) => traced(options, one, head, () => askOne(options, one, head, term))));
      if (met < head.size && (await showWhenMet(options, head.size))) met = head.size;
      looked = head.size;
    }
    await pause(due.length > 0 ? spacingMs : LOOK_EVERY_MS, term);
  }
}

/** In the trace of the batch, or one of its own where that is not known. */
function traced(
  { logId, trace }: WitnessesOptions,
  { witness }: Asked,
  { size }: { size: number },
  ask: () => Promise<void>,
): Promise<void> {
  const attributes = { 'beacon.log.id': logId, 'beacon.log.size': size, 'beacon.witness': witness.name };
  return inSpan('ask witness', { parent: trace?.() ?? null, attributes }, ask);
}

async function askOne(
  { pool, logId, witnessing, events }: WitnessesOptions,
  one: Asked,
  head: { size: number; note: string },
  term: AbortSignal,
): Promise<void> {
  const { witness } = one;
  const reader = createLogReader(pool, logId);
  const submission: Submission = {
    ...head,
    prove: (oldSize) =>
      oldSize === 0 || oldSize === head.size
        ? Promise.resolve([])
        : reader.consistencyProof(oldSize, head.size),
  };
  const limits = {
    signal: term,
    ...(witnessing.timeoutMs === undefined ? {} : { timeoutMs: witnessing.timeoutMs }),
  };
  const ask = async (oldSize: number): Promise<WitnessAnswer> => {
    const answer = await askWitness(witness, submission, oldSize, limits);
    activeSpan()?.set({ 'beacon.witness.answer': answer.kind });
    if (!term.aborted) events?.witnessAsked({ logId, witness: witness.name, size: head.size, ...answer });
    return answer;
  };
  let from = Math.min(one.size, head.size);
  let answer = await ask(from);
  if (answer.kind === 'conflict' && answer.size <= head.size && answer.size !== from) {
    from = answer.size;
    answer = await ask(from);
  }
  if (term.aborted) return;
  if (answer.kind === 'conflict' && answer.size > head.size)
    throw new LogServiceError(
      'rollback_detected',
      `the witness ${witness.name} cosigned ${answer.size} entries, the database holds ${head.size}; ${STOP}`,
    );
  if (answer.kind === 'conflict' && answer.size === head.size && from === head.size)
    throw contradicted(witness, `cosigned another root for ${head.size} entries`);
  if (answer.kind === 'inconsistent')
    throw contradicted(witness, `says that ${head.size} entries do not continue the ${from} it cosigned`);
  if (answer.kind !== 'cosigned') {
    one.restsUntil = performance.now() + one.restMs;
    one.restMs = Math.min(2 * one.restMs, REST_MAX_MS);
    return;
  }
  await addCosignatures(pool, logId, head.size, answer.lines);
  one.size = head.size;
  one.restMs = witnessing.spacingMs ?? SPACING_MS;
}

/** In `wait` nothing is shown before the policy is met. True when it is. */
async function showWhenMet(
  { pool, logId, witnessing, notifier, shown }: WitnessesOptions,
  size: number,
): Promise<boolean> {
  const known = await readCosigners(pool, logId, size);
  const keys = witnessing.policy.witnesses.map(({ key }) => key);
  const cosigned = keys.filter((key) =>
    known.some(({ cosigner, keyId }) => cosigner === key.name && keyId === toHex(key.id)),
  );
  if (!witnessing.policy.isMet(cosigned)) return false;
  if (witnessing.mode === 'wait') {
    await showUpTo(pool, logId, size);
    shown(size);
    notifier.notify('events');
  }
  return true;
}

const STOP = 'this log must not be signed any more (docs/receipt.md)';

function contradicted({ name }: PolicyWitness, what: string): LogServiceError {
  return new LogServiceError('log_inconsistent', `the witness ${name} ${what}; ${STOP}`);
}

const storedKey = ({ name, id }: CosignerKey) => ({ cosigner: name, keyId: toHex(id) });
