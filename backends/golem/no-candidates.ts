import type { Work } from '../backend.ts';
import { Refusal } from '../refusal.ts';
import { isPriceRule } from './rank.ts';

/** Nothing to ask: whether there were no offers, only dear ones, or only ones that a rule dropped are different things. */
export function noCandidates({ negotiated, region }: Work): Refusal {
  const { seen = 0, dropped = {} } = negotiated ?? {};
  const where = region === null ? '' : ` in ${region}`;
  if (seen === 0) return new Refusal('no_offers', `no offers were seen${where}`);
  const counts = Object.entries(dropped)
    .map(([rule, count]) => `${count} by ${rule}`)
    .join(', ');
  const dear = Object.keys(dropped).some(isPriceRule);
  const said = `${seen} offers were seen${where}, all were dropped: ${counts}`;
  return dear && Object.keys(dropped).every((rule) => isPriceRule(rule) || rule === 'other_region')
    ? new Refusal('offers_too_expensive', said)
    : new Refusal('offers_filtered_out', said);
}
