/** Region names, normalised once at the edge to a closed vocabulary (spec: core §2). */
export const REGIONS = ['US', 'EU', 'APAC', 'CA', 'SA', 'AF', 'ME'] as const;
export type Region = (typeof REGIONS)[number];

const ALIASES: Record<string, Region> = {
  usa: 'US',
  'united states': 'US',
  'us-east': 'US',
  'us-west': 'US',
  'us-central': 'US',
  europe: 'EU',
  'european union': 'EU',
  'eu-west': 'EU',
  'eu-central': 'EU',
  'eu-north': 'EU',
  asia: 'APAC',
  as: 'APAC',
  asian: 'APAC',
  'asia-pacific': 'APAC',
  'ap-southeast': 'APAC',
  'ap-northeast': 'APAC',
};
for (const region of REGIONS) ALIASES[region.toLowerCase()] = region;

/** The region that `name` means, or undefined: an unknown region is an error, never a default. */
export function parseRegion(name: string): Region | undefined {
  const key = name.trim().toLowerCase();
  return Object.hasOwn(ALIASES, key) ? ALIASES[key] : undefined;
}
