/** Who asks. Every route declares what it lets him do (spec: core §8). */
export interface Principal {
  kind: 'anonymous' | 'operator' | 'key';
  /** A key's principal is named by its public key. */
  id: string;
  roles: readonly ('operator' | 'job-owner')[];
  scopes: readonly string[];
}

export const ANONYMOUS: Principal = { kind: 'anonymous', id: 'anonymous', roles: [], scopes: [] };
export const OPERATOR: Principal = { kind: 'operator', id: 'operator', roles: ['operator'], scopes: ['*'] };

export function keyPrincipal(publicKey: string): Principal {
  return { kind: 'key', id: publicKey, roles: ['job-owner'], scopes: [] };
}

/**
 * `read`: anybody, private jobs hidden. `submit`: the signature in the body decides. `change-job`: a request signed by
 * the job's key, or an operator. `operate`: an operator.
 */
type Permission = 'read' | 'submit' | 'change-job' | 'operate';

/** How the events name who did something. */
export function actorOf(principal: Principal): string {
  return principal.kind === 'key' ? `key:${principal.id}` : principal.kind;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    permission?: Permission;
    mutates?: boolean;
    /** Public by nature and meant for any web page: every Origin may read it. */
    anyOrigin?: boolean;
    /** Open to any Origin, and yet it knows what is private: owners may sign here. */
    ownersToo?: boolean;
    /** Not counted by the limit of requests: probes and scrapers ask it. */
    unlimited?: boolean;
  }
  interface FastifyRequest {
    principal: Principal;
  }
}
