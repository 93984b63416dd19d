import type { Values } from './variables.ts';

export interface PublishSettings {
  kubo: { name: string; url: string; authorization: string | undefined } | null;
  services: { name: string; endpoint: string; token: string }[];
  /** How many of the services are to hold each tree. */
  replication: number;
  everyMs: number;
}

/** Where ended jobs are published; nowhere unless a place is named. */
export function publishSettings(settings: Values): PublishSettings {
  const url = settings.IPFS_NODE_URL ?? settings.IPFS_URL;
  const services = settings.IPFS_PINNING_SERVICES;
  return {
    kubo:
      url === null
        ? null
        : { name: 'kubo', url, authorization: settings.IPFS_NODE_AUTHORIZATION ?? undefined },
    services,
    replication: settings.IPFS_REPLICATION === 0 ? services.length : settings.IPFS_REPLICATION,
    everyMs: settings.IPFS_PUBLISH_INTERVAL * 1_000,
  };
}

export function publishTargetNames({ kubo, services }: PublishSettings): string[] {
  return [...(kubo === null ? [] : [kubo.name]), ...services.map(({ name }) => name)];
}
