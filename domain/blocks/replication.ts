/**
 * In which order the pinning services are asked to hold a tree: by the hash of both names (rendezvous hashing), so that
 * each tree has its own order, all processes agree on it, and a service that comes or goes moves only its own share.
 */
export function rankServices(
  cid: string,
  services: readonly string[],
  sha256Hex: (text: string) => string,
): string[] {
  return services
    .map((service) => ({ service, weight: sha256Hex(`${service}\n${cid}`) }))
    .sort((a, b) => (a.weight < b.weight ? -1 : 1))
    .map(({ service }) => service);
}

/** Whether `service` is to hold the tree: it is among the first `factor` of those that have not failed. */
export function isChosen(
  ranked: readonly string[],
  service: string,
  factor: number,
  failed: ReadonlySet<string>,
): boolean {
  const before = ranked.slice(0, ranked.indexOf(service)).filter((other) => !failed.has(other));
  return before.length < factor;
}
