import { z } from 'zod';
import { imageMap } from '../backends/golem/image-map.ts';
import { networkNamed, YAGNA_NETWORKS } from '../backends/golem/settings.ts';
import { BACKEND_KINDS } from '../domain/backend-kinds.ts';
import { parseRegion, REGIONS, type Region } from '../domain/jobspec/region.ts';
import { REGION_POLICIES } from '../domain/region/judge.ts';
import { LOG_LEVELS } from '../observability/log.ts';
import { isHostName, isOrigin, isProxy } from './addresses.ts';
import { TRACING_VARIABLES } from './tracing-variables.ts';

/** One environment variable: its name, meaning and default; `docs/configuration.md` is written from this list. */
export interface Variable<T> {
  doc: string;
  /** Applied to the text of the variable; receives undefined when it is unset or empty. */
  schema: z.ZodType<T>;
  secret?: boolean;
  /** The default as one would write it, where its parsed form has another. */
  shown?: string;
}

const text = (fallback: string | null = null) =>
  z
    .string()
    .nullish()
    .transform((value) => value ?? fallback);
const int = (fallback: number, { min = 0, max = Number.MAX_SAFE_INTEGER } = {}) =>
  z
    .string()
    .regex(/^[+-]?\d{1,16}$/, 'is not a whole number')
    .transform(Number)
    .pipe(z.int('is too large').min(min, `must be ${min} or more`).max(max, `must be ${max} or less`))
    .optional()
    .transform((value) => value ?? fallback);
const flag = (fallback: boolean) =>
  z
    .enum(['true', 'false', '1', '0', 'yes', 'no'], 'must be true or false')
    .optional()
    .transform((value) =>
      value === undefined ? fallback : value === 'true' || value === '1' || value === 'yes',
    );
const oneOf = <const T extends readonly [string, ...string[]]>(values: T, fallback: T[number]) =>
  z
    .enum(values, `must be one of ${values.join(', ')}`)
    .optional()
    .transform((value): T[number] => value ?? fallback);
/** Items of a list that `isRight` refuses are named. */
const listOf = (isRight: (item: string) => boolean, what: string) =>
  list().superRefine((items, context) => {
    const wrong = items.find((item) => !isRight(item));
    if (wrong !== undefined) context.addIssue({ code: 'custom', message: `"${wrong}" ${what}` });
  });
const list = () =>
  z
    .string()
    .optional()
    .transform((value) =>
      (value ?? '')
        .split(',')
        .map((item) => item.trim())
        .filter((item) => item !== ''),
    );

const BACKENDS: readonly string[] = BACKEND_KINDS;

/** `US=local;*=local` → ordered backends of each region. */
const backends = z
  .string()
  .optional()
  .transform((value, context) => {
    const table: Record<string, string[]> = {};
    for (const rule of (value ?? '*=local').split(';').filter((part) => part.trim() !== '')) {
      const [region = '', names = ''] = rule.split('=').map((part) => part.trim());
      const kinds = names
        .split(',')
        .map((name) => name.trim())
        .filter((name) => name !== '');
      if ((region !== '*' && !(REGIONS as readonly string[]).includes(region)) || kinds.length === 0) {
        context.addIssue({ code: 'custom', message: `"${rule}" is not <region or *>=<backend>[,<backend>]` });
        return z.NEVER;
      }
      const unknown = kinds.find((kind) => !BACKENDS.includes(kind));
      if (unknown !== undefined) {
        context.addIssue({
          code: 'custom',
          message: `"${unknown}" is no backend; there are: ${BACKENDS.join(', ')}`,
        });
        return z.NEVER;
      }
      if (Object.hasOwn(table, region)) {
        context.addIssue({ code: 'custom', message: `"${region}" stands there twice` });
        return z.NEVER;
      }
      table[region] = kinds;
    }
    return table;
  });

const PORT_MAX = 65_535;
const PORT_RULE = `names a port above ${PORT_MAX}`;
const isPort = (text: string): boolean => Number(text) <= PORT_MAX;

const httpUrl = z
  .string()
  .regex(/^https?:\/\/[^\s/]+/, 'must be an http:// or https:// address')
  .optional()
  .transform((value) => value ?? null);

/** What kind of key it is, is looked at where it is used. */
const pem = z
  .string()
  .regex(
    /^\s*-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]+-----END [A-Z ]*PRIVATE KEY-----\s*$/,
    'must be a private key in PEM',
  )
  .optional()
  .transform((value) => value ?? null);

const price = (fallback: number) =>
  z
    .string()
    .regex(/^\d{1,9}(\.\d{1,18})?$/, 'is not an amount of GLM such as 0.1')
    .optional()
    .transform((value) => (value === undefined ? fallback : Number(value)));

/** Where in a JSON value the first fault is, and what it is. */
function firstIssue({ issues: [issue] }: z.ZodError): string {
  return issue === undefined ? 'it is wrong' : [issue.path.join('.'), issue.message].join(' ').trim();
}

const maybePrice = z
  .string()
  .regex(/^\d{1,9}(\.\d{1,18})?$/, 'is not an amount of GLM such as 0.1')
  .optional()
  .transform((value) => (value === undefined ? null : Number(value)));

const golemImages = z
  .string()
  .optional()
  .transform((value, context) => {
    try {
      return imageMap.parse(JSON.parse(value ?? '{}'));
    } catch (error) {
      const why = error instanceof z.ZodError ? firstIssue(error) : 'it is not JSON';
      context.addIssue({ code: 'custom', message: `must be {"<image>": {"url", "sha3_224"}}: ${why}` });
      return z.NEVER;
    }
  });

const pinningServices = z
  .string()
  .optional()
  .transform((value, context) => {
    try {
      return z
        .array(
          z.strictObject({
            name: z.string('is not a text').regex(/^[a-z0-9-]{1,32}$/, 'is not 1 to 32 of a-z 0-9 -'),
            endpoint: z
              .string('is not a text')
              .regex(/^https?:\/\/[^\s/]+/, 'is not an http:// or https:// address'),
            token: z.string('is not a text').min(1, 'is empty'),
          }),
        )
        .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, 'names one twice')
        .refine((all) => all.every(({ name }) => name !== 'kubo'), 'kubo is the name of IPFS_NODE_URL')
        .parse(JSON.parse(value ?? '[]'));
    } catch (error) {
      const why = error instanceof z.ZodError ? firstIssue(error) : 'it is not JSON';
      context.addIssue({ code: 'custom', message: `must be [{"name", "endpoint", "token"}]: ${why}` });
      return z.NEVER;
    }
  });

/** `HTTP_PORT` with or without a colon, also `host:port`. */
const port = z
  .string()
  .regex(/^([^:]*:)?\d{1,5}$/, 'must be a port, :port or host:port')
  .refine((value) => isPort(value.slice(value.lastIndexOf(':') + 1)), PORT_RULE)
  .optional()
  .transform((value) => {
    const at = (value ?? ':8090').lastIndexOf(':');
    const host = at > 0 ? value!.slice(0, at) : null;
    return { host, port: Number((value ?? ':8090').slice(at + 1)) };
  });

/** As HTTP_PORT, or null when unset. */
const optionalPort = z
  .string()
  .regex(/^([^:]*:)?\d{1,5}$/, 'must be a port, :port or host:port')
  .refine((value) => isPort(value.slice(value.lastIndexOf(':') + 1)), PORT_RULE)
  .optional()
  .transform((value) => (value === undefined ? null : port.parse(value)));

const range = z
  .string()
  .regex(/^\d{1,5}-\d{1,5}$/, 'must be <first>-<last>')
  .refine((value) => value.split('-').every(isPort), PORT_RULE)
  .refine((value) => Number(value.split('-')[0]) <= Number(value.split('-')[1]), 'ends before it begins')
  .optional()
  .transform((value) => (value ?? '8090-8099').split('-').map(Number) as [number, number]);

export const VARIABLES = {
  HTTP_PORT: {
    doc: 'Port of the API, with or without a colon, or host:port. Default :8090.',
    schema: port,
    shown: ':8090',
  },
  PORT_STRATEGY: {
    doc: 'strict: that port or nothing. fallback (default): else a free one of PORT_RANGE. ephemeral: any free one.',
    schema: oneOf(['strict', 'fallback', 'ephemeral'], 'fallback'),
  },
  PORT_RANGE: {
    doc: 'Ports tried by the fallback strategy. Default 8090-8099.',
    schema: range,
    shown: '8090-8099',
  },
  RUNNER_HTTP_ADDR_FILE: {
    doc: 'Where the address that was taken is written down. Default: nowhere.',
    schema: text(),
  },
  ALLOWED_HOSTS: {
    doc: 'Host names served besides loopback names, comma separated; * serves any.',
    schema: listOf(isHostName, 'is no host name: it stands without scheme, port and path'),
  },
  CORS_ORIGINS: {
    doc: 'Origins of web pages that may call, comma separated.',
    schema: listOf(isOrigin, 'is no origin such as https://app.example'),
  },
  TRUSTED_PROXIES: {
    doc: 'Addresses of proxies whose X-Forwarded-For is believed, comma separated.',
    schema: listOf(isProxy, 'is no address such as 10.0.0.1 or 10.0.0.0/8'),
  },
  ADMIN_TOKEN: {
    doc: "The operator's bearer token; `beacon up` makes one of its own.",
    schema: text(),
    secret: true,
  },
  DATABASE_URL: {
    doc: 'PostgreSQL. Unset: `beacon up` runs an embedded one.',
    schema: z
      .string()
      .regex(/^postgres(ql)?:\/\//, 'must begin with postgres:// or postgresql://')
      .optional()
      .transform((value) => value ?? null),
    secret: true,
  },
  DATABASE_POOL: { doc: 'Connections per process. Default 10.', schema: int(10, { min: 2, max: 200 }) },
  TEMPORAL_ADDRESS: {
    doc: 'Temporal frontend, host:port. Unset: `beacon up` runs an embedded one.',
    schema: z
      .string()
      .regex(/^(\[[0-9a-fA-F:]+\]|[^\s/:]+):\d{1,5}$/, 'must be host:port')
      .optional()
      .transform((value) => value ?? null),
  },
  TEMPORAL_NAMESPACE: { doc: 'Temporal namespace. Default default.', schema: text('default') },
  TEMPORAL_TASK_QUEUE: {
    doc: 'Task queue of workflows; must end in "beacon", backends use <prefix>backend-<kind>. Default beacon.',
    schema: z
      .string()
      .regex(/beacon$/, 'must end in "beacon"')
      .optional()
      .transform((value) => value ?? 'beacon'),
  },
  TEMPORAL_CLI_PATH: {
    doc: 'Server binary for the embedded Temporal. Default: found or made, see docs.',
    schema: text(),
  },
  REDIS_URL: { doc: 'Accepted and unused: Temporal is the queue.', schema: text(), secret: true },
  BEACON_STATE: { doc: 'Folder of keys, embedded data and logs. Default .beacon.', schema: text('.beacon') },
  LOG_LEVEL: { doc: `One of ${LOG_LEVELS.join(', ')}. Default info.`, schema: oneOf(LOG_LEVELS, 'info') },
  BACKENDS: {
    doc: 'Ordered backends of each region, as US=local;*=local. Default *=local.',
    schema: backends,
    shown: '*=local',
  },
  JOB_DEADLINE: {
    doc: 'Seconds from the start of a job after which it expires. Default 86400.',
    // Ten years: more is a slip of the keyboard.
    schema: int(86_400, { min: 1, max: 315_360_000 }),
  },
  MAX_PARALLEL: {
    doc: 'Executions of one job that run at once. Default 10.',
    schema: int(10, { min: 1, max: 100 }),
  },
  ATTEMPTS_PER_REGION: {
    doc: 'Tries of an execution in one region. Default 3.',
    schema: int(3, { min: 1, max: 20 }),
  },
  BACKLOG_LIMIT: {
    doc: 'Jobs that may wait for their start before intake answers 429. Default 100000.',
    schema: int(100_000, { min: 1 }),
  },
  WORKFLOW_WINDOW: {
    doc: 'Jobs open in Temporal per connected worker. Default 100.',
    schema: int(100, { min: 1 }),
  },
  RECONCILE_INTERVAL: {
    doc: 'Seconds between looks for jobs that Temporal does not know. Default 60.',
    schema: int(60, { min: 1 }),
  },
  RECONCILE_ABSENCE: {
    doc: 'Seconds that a workflow must be unknown before it is started again. Default 30.',
    schema: int(30, { min: 1 }),
  },
  AUDIT_INTERVAL: {
    doc: 'Seconds between rounds in which a relay audits the log. Default 300.',
    schema: int(300, { min: 1 }),
  },
  ROLE_PORT: {
    doc: 'Where `beacon worker` or `beacon relay` serves /health/live, /health/ready and its own /metrics: port (on loopback) or host:port. One process each, so not with `beacon up`. Default: nowhere.',
    schema: optionalPort,
  },
  TEMPORAL_METRICS_ADDRESS: {
    doc: "Where `beacon worker` serves the Temporal SDK's temporal_* metrics, ip:port. One process each, so not with `beacon up`. Default: nowhere.",
    schema: z
      .string()
      .regex(/^[\d.]+:\d{1,5}$/, 'must be ip:port')
      .optional()
      .transform((value) => value ?? null),
  },
  TRUST_ENFORCE: {
    doc: 'Take only fresh specs of trusted keys, with a nonce. Default false.',
    schema: flag(false),
  },
  ALLOW_OPEN_TRUST: {
    doc: 'Without TRUST_ENFORCE, serve more than loopback all the same. Default false.',
    schema: flag(false),
  },
  TRUSTED_KEYS_FILE: {
    doc: 'JSON array of {kid, public_key, status, not_before, not_after}.',
    schema: text(),
  },
  TRUSTED_KEYS_JSON: { doc: 'The same as text; wins over the file.', schema: text() },
  TRUSTED_KEYS_RELOAD_SECONDS: {
    doc: 'How often the file is read again; 0 never. Default 0.',
    schema: int(0),
  },
  TIMESTAMP_MAX_SKEW_MINUTES: {
    doc: 'How far in the future metadata.timestamp may lie. Default 5.',
    schema: int(5),
  },
  TIMESTAMP_MAX_AGE_MINUTES: { doc: 'How old metadata.timestamp may be. Default 10.', schema: int(10) },
  FAILURES_PER_IP: {
    doc: 'Failures of trust and signature per address and minute. Default 10.',
    schema: int(10, { min: 1 }),
  },
  FAILURES_PER_IP_AND_KEY: { doc: 'The same per address and key. Default 5.', schema: int(5, { min: 1 }) },
  RATE_LIMIT_PER_IP: {
    doc: 'Requests per address (IPv6: per /64) and minute that one API process answers; health and metrics do not count, nor does what goes over /ws. 0 (default): no limit.',
    schema: int(0),
  },
  LOCAL_REGION: {
    doc: 'Region that the local backend claims. Default: none is claimed.',
    schema: z
      .enum(REGIONS, `must be one of ${REGIONS.join(', ')}`)
      .optional()
      .transform((value) => value ?? null),
  },
  LOCAL_CONCURRENCY: {
    doc: 'Executions of the local backend at once per worker. Default: number of cores, at least 2.',
    schema: int(0, { max: 1_000 }),
  },
  LOCAL_CPU_SECONDS: {
    doc: 'Processor time that one attempt may use, all its processes together, in seconds; then it ends with cpu_limit. Default 0: no bound but cores and wall clock.',
    schema: int(0, { max: 604_800 }),
  },
  LOCAL_ISOLATION: {
    doc: 'auto (default): container for registry images, else bubblewrap, else a listed bare process.',
    schema: oneOf(['auto', 'container', 'bubblewrap', 'process'], 'auto'),
  },
  BEACON_REACHABLE: {
    doc: 'Folder that the users of jobs can reach; `beacon up` sets it. Default: the state folder.',
    schema: text(),
  },
  LOCAL_IMAGE_FOLDERS: {
    doc: 'Folders beneath which oci:<path> images may lie, comma separated.',
    schema: list(),
  },
  LOCAL_PROCESS_DIGESTS: {
    doc: 'Digests of programs that may run as a bare process, comma separated; the word shipped stands for those that come with Beacon (`beacon up` says it).',
    schema: list(),
  },
  LOCAL_HOST_USERLAND: {
    doc: 'Image names that may run on the host userland where no engine is, comma separated.',
    schema: list(),
  },
  BEACON_DOCKER_SOCKET: {
    doc: 'Unix socket of the container engine for jobs, tried first. Default: DOCKER_HOST, then the usual ones.',
    schema: z
      .string()
      .regex(/^(unix:\/\/)?\//, 'must be an absolute path')
      .optional()
      .transform((value) => value ?? null),
  },
  DOCKER_HOST: {
    doc: 'Docker-compatible socket (unix:// only). Default: the usual Docker and Podman sockets.',
    schema: text(),
  },
  XDG_RUNTIME_DIR: {
    doc: 'Where rootless Docker and Podman keep their sockets. Default: /run/user/<user id>.',
    schema: text(),
  },
  LOG_ORIGIN: {
    doc: 'Origin of the transparency log, fixed for its life: a host name, or stock cosign cannot check its proofs. Default: made once.',
    schema: text(),
  },
  BEACON_RECEIPT_KEY_PEM: {
    doc: 'ECDSA P-256 key for receipts, PKCS#8 PEM. Default: a file in the state folder.',
    schema: pem,
    secret: true,
  },
  BEACON_LOG_KEY_PEM: {
    doc: 'Ed25519 key for checkpoints, PKCS#8 PEM. Default: a file in the state folder.',
    schema: pem,
    secret: true,
  },
  BEACON_LOG_NEXT_KEY_PEM: {
    doc: 'The key to which the log is rotated, Ed25519, PKCS#8 PEM. Default: a file in the state folder while there is one.',
    schema: pem,
    secret: true,
  },
  LOG_POLICY_FILE: {
    doc: 'Witnesses of the log and whose cosignatures are enough, as a C2SP tlog-policy; those with a URL are asked. Default: none.',
    schema: text(),
  },
  LOG_WITNESS_MODE: {
    doc: 'publish-then-collect (default): a signed checkpoint is shown at once, cosignatures are added. wait: it is shown when the policy is met.',
    schema: oneOf(['publish-then-collect', 'wait'], 'publish-then-collect'),
  },
  BEACON_COSIGNER_KEY_PEM: {
    doc: "Ed25519 key by which the relay's own cosigner says every minute that the newest checkpoint is the newest, PKCS#8 PEM. Default: a file in the state folder.",
    schema: pem,
    secret: true,
  },
  IPFS_NODE_URL: {
    doc: 'RPC of a Kubo to which ended public jobs are published, http://127.0.0.1:5001. It must reach nobody else: whoever reaches it owns the node. Default: none.',
    schema: httpUrl,
  },
  IPFS_URL: { doc: 'The same; IPFS_NODE_URL wins.', schema: httpUrl },
  IPFS_NODE_AUTHORIZATION: {
    doc: 'Authorization header for that RPC, where its API.Authorizations ask for one.',
    schema: text(),
    secret: true,
  },
  IPFS_PINNING_SERVICES: {
    doc: 'Services with the IPFS Pinning Service API, as JSON: [{"name", "endpoint", "token"}]. Default: none.',
    schema: pinningServices,
    secret: true,
    shown: '',
  },
  IPFS_REPLICATION: {
    doc: 'How many of these services are to hold each job. Default 0: all of them.',
    schema: int(0, { max: 100 }),
  },
  IPFS_PUBLISH_INTERVAL: {
    doc: 'Seconds between looks for what is to be published. Default 10.',
    schema: int(10, { min: 1, max: 86_400 }),
  },
  GOLEM_API_KEY: {
    doc: 'The app key of the yagna daemon. Default: none, and nothing runs on Golem.',
    schema: text(),
    secret: true,
  },
  YAGNA_URL: {
    doc: 'Where the yagna daemon answers. Default http://127.0.0.1:7465.',
    schema: httpUrl.transform((value) => value ?? 'http://127.0.0.1:7465'),
  },
  GOLEM_NETWORK: {
    doc: "testnet (default) is hoodi, mainnet is polygon; or one of yagna's own names.",
    schema: z
      .string()
      .optional()
      .transform((value, context) => {
        const network = networkNamed(value ?? 'testnet');
        if (network !== undefined) return network;
        context.addIssue({
          code: 'custom',
          message: `is no network; there are ${[...new Set(['testnet', 'mainnet', ...YAGNA_NETWORKS])].join(', ')}`,
        });
        return z.NEVER;
      }),
    shown: 'testnet',
  },
  GOLEM_SUBNET: {
    doc: 'Only offers of this subnet. Default public.',
    schema: z
      .string()
      .regex(/^[A-Za-z0-9._-]+$/, 'is no name of a subnet')
      .default('public'),
  },
  GOLEM_IMAGES: {
    doc: 'JSON: what Golem providers boot for a job\'s image. Keys are images as jobs name them, or their sha256 digests; values are {"url", "sha3_224"} of a GVMI or {"tag"} of the Golem registry, and "volume" where its files lie, default /golem/work.',
    schema: golemImages,
    shown: '{}',
  },
  GOLEM_REGISTRY_URL: {
    doc: 'Where image tags of Golem are looked up. Default https://registry.golem.network.',
    schema: httpUrl.transform((value) => value ?? 'https://registry.golem.network'),
  },
  GOLEM_REGION_SUBNETS: {
    doc: 'Subnets whose providers are in one region: beacon-eu=EU,beacon-us=US.',
    schema: list().transform((rules, context) => {
      const regions: Record<string, Region> = {};
      for (const rule of rules) {
        const [subnet = '', name = ''] = rule.split('=').map((part) => part.trim());
        const region = parseRegion(name);
        if (subnet === '' || region === undefined) {
          context.addIssue({ code: 'custom', message: `"${rule}" is not <subnet>=<region>` });
          return z.NEVER;
        }
        regions[subnet] = region;
      }
      return regions;
    }),
    shown: '',
  },
  GOLEM_REGION_PROVIDERS: {
    doc: 'Providers that the operator knows to be in a region: 0x…=EU,0x…=US.',
    schema: list().transform((rules, context) => {
      const lists: Partial<Record<Region, string[]>> = {};
      for (const rule of rules) {
        const [id = '', name = ''] = rule.split('=').map((part) => part.trim());
        const region = parseRegion(name);
        if (!/^0x[0-9a-fA-F]{40}$/.test(id) || region === undefined) {
          context.addIssue({ code: 'custom', message: `"${rule}" is not <node id>=<region>` });
          return z.NEVER;
        }
        (lists[region] ??= []).push(id);
      }
      return lists;
    }),
    shown: '',
  },
  GOLEM_MAX_START_PRICE: {
    doc: 'GLM that a provider may ask for the start of a rental. Default 0.1.',
    schema: price(0.1),
  },
  GOLEM_MAX_CPU_HOUR_PRICE: {
    doc: 'GLM that a provider may ask for an hour of one thread. Default 0.1.',
    schema: price(0.1),
  },
  GOLEM_MAX_HOUR_PRICE: {
    doc: 'GLM that a provider may ask for an hour of the rental. Default 0.1.',
    schema: price(0.1),
  },
  GOLEM_MAX_MINUTE_PRICE: {
    doc: 'GLM that a minute of a rental may cost with all its threads, without its start. Default: none, the others bound it.',
    schema: maybePrice,
  },
  GOLEM_MAX_TOTAL_PRICE: {
    doc: 'GLM that one attempt may cost in all. Nothing above it is held or accepted, and offers that would exceed it in ten minutes are not taken. Default: none, the others bound it.',
    schema: maybePrice,
  },
  GOLEM_CONCURRENCY: {
    doc: 'Executions on Golem at once per worker. Default 50.',
    schema: int(50, { min: 1, max: 1_000 }),
  },
  GOLEM_NEGOTIATIONS: {
    doc: 'Looks at the market at once per worker. Default 20.',
    schema: int(20, { min: 1, max: 1_000 }),
  },
  GOLEM_REGION_POLICY: {
    doc: 'Where a job says nothing of it: claimed (default): what a Golem provider says of its region is enough. verified: nothing runs before a probe has seen it there.',
    schema: oneOf(REGION_POLICIES, 'claimed'),
  },
  GOLEM_ECHO_URL: {
    doc: 'This API as Golem providers reach it, https://api.example. They are asked to fetch an address below it, and where the request comes from is the region observed. Default: none, and nothing can be probed.',
    schema: httpUrl,
  },
  GEOIP_DATABASE: {
    doc: 'An .mmdb of countries (GeoLite2, DB-IP, ip-location-db), read by the workers of Golem. Default: none, and nothing can be probed.',
    schema: text(),
  },
  ...TRACING_VARIABLES,
  FEED_CLIENTS: { doc: 'Feed connections per API process. Default 2000.', schema: int(2_000, { min: 1 }) },
  FEED_CLIENTS_PER_IP: { doc: 'Feed connections per address. Default 100.', schema: int(100, { min: 1 }) },
} as const satisfies Record<string, Variable<unknown>>;

export type VariableName = keyof typeof VARIABLES;
export type Values = { [K in VariableName]: z.output<(typeof VARIABLES)[K]['schema']> };
