import { createKubo } from './kubo.ts';
import { createPinningService } from './pinning-service.ts';
import type { PublishTarget } from './target.ts';

interface TargetSettings {
  kubo: { name: string; url: string; authorization: string | undefined } | null;
  services: readonly { name: string; endpoint: string; token: string }[];
}

/** The configured places. Pinning services are told to fetch from our node, where there is one. */
export function openTargets({ kubo, services }: TargetSettings): PublishTarget[] {
  const node = kubo === null ? undefined : createKubo(kubo);
  const origins = async (signal: AbortSignal): Promise<string[]> =>
    node === undefined ? [] : node.addresses(signal).catch(() => []);
  return [
    ...(node === undefined ? [] : [node]),
    ...services.map((service) => createPinningService({ ...service, origins })),
  ];
}
