/** What the daemon does wrong at an endpoint, whoever the provider is. */
export interface EndpointFault {
  /** Answers with this instead of doing anything. */
  status?: number;
  message?: string;
  /** `request`: the connection is reset before anything is done; `answer`: it is done, and then the connection is reset. */
  drop?: 'request' | 'answer';
  /** Never answers. */
  hang?: boolean;
  /** Answers later. */
  delayMs?: number;
  /** How many requests; all unless told. */
  times?: number;
  /** For how long from now; for ever unless told. */
  forMs?: number;
}

/** `METHOD /path`, either with `*` for anything; `*` alone is every endpoint. */
export type Endpoint = '*' | `${string} /${string}`;

export interface EndpointFaults {
  add(endpoint: Endpoint, fault: EndpointFault): void;
  clear(): void;
  take(method: string, path: string): EndpointFault | null;
}

export function createEndpointFaults(): EndpointFaults {
  let faults: { pattern: RegExp; until: number; left: number; fault: EndpointFault }[] = [];
  return {
    add(endpoint, fault) {
      const until = fault.forMs === undefined ? Infinity : Date.now() + fault.forMs;
      faults.push({ pattern: patternOf(endpoint), until, left: fault.times ?? Infinity, fault });
    },
    clear: () => void (faults = []),
    take(method, path) {
      const now = Date.now();
      faults = faults.filter(({ until, left }) => until > now && left > 0);
      const found = faults.find(({ pattern }) => pattern.test(`${method} ${path}`));
      if (found === undefined) return null;
      found.left--;
      return found.fault;
    },
  };
}

function patternOf(endpoint: Endpoint): RegExp {
  const words = endpoint.split('*').map((text) => text.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${words.join('.*')}$`);
}
