/**
 * Ends what an attempt left on the network, from what was recorded of it: first what costs, then what holds money. What
 * was made in the moment of a crash stands in no record; its attempt token and the unlikely time-out of its allocation,
 * which were committed before, find it. Repeating it changes nothing.
 */
import { answered, type Rest } from './rest.ts';

/** Property of every demand of ours. */
export const ATTEMPT_PROPERTY = 'golem.beacon.attempt';

/** What an attempt commits before its first call, and every id as soon as it exists. */
export interface RecordedIds {
  /** Random; stands in the demand. */
  token?: string;
  /** RFC 3339 with microseconds, chosen so that no other allocation has it. */
  allocation_timeout?: string;
  /** When it began. */
  since?: string;
  allocation?: string;
  /** Several when yagna forgot one. */
  demand?: string;
  agreement?: string;
  activity?: string;
  batch?: string;
  /** Money is settled: nothing is owed any more. */
  settled?: string;
}

export interface Leftovers {
  agreement: string | null;
  allocation: string | null;
}

export interface ReleaseOptions {
  /** Everything that was made was recorded: nothing has to be looked for. */
  known?: boolean;
}

/**
 * Answers what is still to be paid: an agreement that was approved and the allocation for it stay until its invoice is
 * settled (the sweeper's work); an allocation without an agreement is given back here.
 */
export async function releaseAttempt(
  rest: Rest,
  ids: RecordedIds,
  { known = false }: ReleaseOptions = {},
): Promise<Leftovers> {
  // Nothing was called before the token was committed.
  if (ids.token === undefined) return { agreement: null, allocation: null };
  const [demands, agreements] = known
    ? [list(ids.demand), list(ids.agreement)]
    : await Promise.all([ownDemands(rest, ids), ownAgreements(rest, ids)]);
  const owed = ids.settled === undefined ? await endAll(rest, ids, agreements) : [];
  const allocation = ids.allocation ?? (known ? null : await ownAllocation(rest, ids));
  const free = allocation !== null && owed.length === 0;
  await Promise.all([
    ...demands.map((one) => rest.unsubscribeDemand(one)),
    free ? rest.releaseAllocation(allocation) : undefined,
  ]);
  return free ? { agreement: null, allocation: null } : { agreement: owed[0] ?? null, allocation };
}

/** The agreements among them that their providers may send an invoice for. */
async function endAll(rest: Rest, { activity }: RecordedIds, agreements: string[]): Promise<string[]> {
  // An agreement's end ends its activity too, so neither waits for the other.
  const [, ...ended] = await Promise.all([
    activity === undefined ? undefined : rest.destroyActivity(activity),
    ...agreements.map((one) => endAgreement(rest, one)),
  ]);
  return agreements.filter((_, at) => ended[at] === 'terminated');
}

async function ownDemands(rest: Rest, { token, demand }: RecordedIds): Promise<string[]> {
  const listed = await rest.demands();
  const found = listed.filter(({ properties }) => properties[ATTEMPT_PROPERTY] === token);
  return [...new Set([...found.map(({ demandId }) => demandId), ...list(demand)])];
}

async function ownAgreements(rest: Rest, { token, since, agreement }: RecordedIds): Promise<string[]> {
  const known = list(agreement);
  if (since === undefined) return known;
  const listed = (await rest.agreementsSince(since)).map(({ id }) => id).filter((id) => !known.includes(id));
  const found: string[] = [];
  for (const id of listed) {
    const row = await rest.agreement(id).catch((error: unknown) => {
      if (answered(error, 404)) return undefined;
      throw error;
    });
    if (row?.demand.properties[ATTEMPT_PROPERTY] === token) found.push(id);
  }
  return [...known, ...found];
}

const list = (text: string | undefined): string[] =>
  text === undefined || text === '' ? [] : text.split(' ');

/** Whatever state it is in, afterwards it is over; `terminated` when its provider may send an invoice. */
export async function endAgreement(rest: Rest, id: string): Promise<'terminated' | 'never'> {
  for (let tries = 0; ; tries++) {
    let state: string;
    try {
      ({ state } = await rest.agreement(id));
    } catch (error) {
      if (answered(error, 404)) return 'never';
      throw error;
    }
    if (state === 'Terminated') return 'terminated';
    if (state === 'Approved') {
      await rest.terminateAgreement(id);
      return 'terminated';
    }
    if (state !== 'Proposal' && state !== 'Pending') return 'never';
    try {
      await rest.cancelAgreement(id);
      return 'never';
    } catch (error) {
      // Approved in this very moment: look again.
      if (!answered(error, 409, 410) || tries >= 3) throw error;
    }
  }
}

async function ownAllocation(rest: Rest, ids: RecordedIds): Promise<string | null> {
  if (ids.allocation_timeout === undefined) return null;
  const wanted = ids.allocation_timeout;
  const found = (await rest.allocations()).find(({ timeout }) => sameTime(timeout, wanted));
  return found?.allocationId ?? null;
}

/** Yagna may write the same microsecond in another form. */
function sameTime(a: string | null | undefined, b: string): boolean {
  if (a === undefined || a === null) return false;
  const micros = (text: string): string => (/\.(\d+)/.exec(text)?.[1] ?? '').padEnd(6, '0').slice(0, 6);
  return Math.floor(Date.parse(a) / 1_000) === Math.floor(Date.parse(b) / 1_000) && micros(a) === micros(b);
}
