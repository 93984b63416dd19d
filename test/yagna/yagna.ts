import type { IdentityApi } from 'ya-ts-client';
import { createActivities } from './activities.ts';
import { createAgreements, type Agreement } from './agreements.ts';
import { createAllocations } from './allocations.ts';
import { keepBooks, type Books } from './books.ts';
import { createClock } from './clock.ts';
import { createDemands } from './demands.ts';
import { createDocuments, type Payment } from './documents.ts';
import {
  createEndpointFaults,
  type Endpoint,
  type EndpointFault,
  type EndpointFaults,
} from './endpoint-faults.ts';
import { createGsb } from './gsb.ts';
import { createServer, ok, type Route } from './http.ts';
import { nodeId } from './ids.ts';
import { createImages, type Image, type ImageScript } from './images.ts';
import { createJournal, type Journal } from './journal.ts';
import { amount } from './money.ts';
import { createProvider, type Provider, type ProviderScript } from './provider.ts';
import type { ProviderFault, TerminationReason } from './provider-faults.ts';
import { createScans } from './scans.ts';

export interface YagnaOptions {
  /** Three healthy ones unless told. */
  providers?: ProviderScript[];
  appKey?: string;
  /** 0 takes a free one. */
  port?: number;
  version?: string;
  /** What the wallet holds, in GLM. */
  funds?: string;
  images?: ImageScript[];
  /** How far the daemon's clock is off. */
  clockSkewMs?: number;
  /** From acceptance to settlement on chain. */
  settleMs?: number;
}

export interface Yagna extends AsyncDisposable {
  /** For YAGNA_URL and, since it answers as the registry too, GOLEM_REGISTRY_URL. */
  readonly url: string;
  readonly key: string;
  readonly identity: string;
  readonly providers: readonly Provider[];
  readonly images: Image[];
  readonly journal: Journal;
  books(): Books;
  /** Makes an endpoint (`GET /market-api/v1/demands/*`) or a provider, by name or id, do something wrong from now on. */
  fault(endpoint: Endpoint, fault: EndpointFault): void;
  fault(provider: string, fault: ProviderFault): void;
  /** All endpoints and all providers are well again, dead ones too. */
  heal(): void;
  /** A provider dies without a word. */
  kill(provider: string): void;
  /** A provider ends its approved agreements. */
  terminate(provider: string, reason: TerminationReason): void;
  /** Faults of providers that were to happen a number of times and did not all happen yet. */
  faultsLeft(): ProviderFault[];
  /** What left allocations, document by document, as it happened. */
  payments(): Payment[];
  /** How long the provider of an activity worked on its image and its programs; transfers are not in it. */
  workedMs(activity: string): number;
  /** Nobody listens at the port any more. */
  down(): Promise<void>;
  /** Listens again at the same port; a daemon that forgets has lost its demands and bound services. */
  up(options?: { forget?: boolean }): Promise<void>;
  restart(options?: { forget?: boolean }): Promise<void>;
  stop(): Promise<void>;
}

const DEFAULTS = {
  appKey: 'beacon-emulated-key',
  version: '0.17.4',
  funds: '1000',
  images: [{ tag: 'beacon/worker:latest' }],
  settleMs: 200,
};

export async function startYagna(options: YagnaOptions = {}): Promise<Yagna> {
  const settings = { ...DEFAULTS, ...options };
  const clock = createClock(settings.clockSkewMs);
  const identity = nodeId(`requestor ${settings.appKey}`);
  const scripts = settings.providers ?? [{ region: 'US' }, { region: 'EU' }, { region: 'APAC' }];
  const providers = scripts.map(createProvider);
  const journal = createJournal();
  const endpointFaults = createEndpointFaults();
  const gsb = createGsb(settings.appKey);
  let port = settings.port ?? 0;
  const base = () => `http://127.0.0.1:${port}`;
  const images = createImages(settings.images, base);

  const demands = createDemands({ clock, identity, providers, load: (provider) => loadOf(provider) });
  const agreements = createAgreements({ clock, identity, demands, approved, ended });
  const allocations = createAllocations({ clock, identity, funds: amount(settings.funds) });
  const activities = createActivities({
    clock,
    agreements,
    images,
    gsb,
    started: (activity) => documents.activityStarted(activity),
    ended: (activity) => documents.activityEnded(activity),
  });
  const documents = createDocuments({
    clock,
    identity,
    agreements,
    allocations,
    activitiesOf: activities.of,
    settleMs: settings.settleMs,
  });
  const scans = createScans({ clock, providers });

  function loadOf(provider: Provider): number {
    return agreements.all().filter((one) => one.provider === provider && one.state === 'Approved').length;
  }
  function approved(agreement: Agreement): void {
    const { provider } = agreement;
    const fault = provider.faults.take('approved');
    if (fault !== null) setTimeout(() => leave(agreement, fault), fault.afterMs ?? 0);
    setTimeout(() => {
      if (activities.of(agreement).length === 0) agreements.endByProvider(agreement, 'NoActivity');
    }, provider.speed.noActivityMs).unref();
  }
  function ended(agreement: Agreement): void {
    activities.end(agreement);
    documents.agreementEnded(agreement);
  }
  function leave(agreement: Agreement, fault: Extract<ProviderFault, { at: 'approved' }>): void {
    if (fault.do === 'terminate') agreements.endByProvider(agreement, fault.reason);
    else activities.die(agreement.provider);
  }
  const named = (name: string): Provider => {
    const found = providers.find((provider) => provider.name === name || provider.id === name);
    if (found === undefined) throw new Error(`no provider ${name}`);
    return found;
  };

  const server = createServer({
    routes: [
      ...ownRoutes(identity, settings.version),
      ...[demands, agreements, scans, allocations, documents, activities, gsb, images].flatMap(
        ({ routes }) => routes,
      ),
    ],
    key: settings.appKey,
    clock,
    journal,
    faults: endpointFaults,
    upgrade: gsb.upgrade,
  });
  port = await server.listen(port);

  const up = async ({ forget = false } = {}) => {
    if (forget) {
      demands.forget();
      gsb.dropAll();
    }
    await server.listen(port);
  };
  const stop = async () => {
    await server.close();
    documents.stop();
    demands.forget();
    await activities.close();
  };
  return {
    get url() {
      return base();
    },
    key: settings.appKey,
    identity,
    providers,
    get images() {
      return images.list();
    },
    journal,
    books: () => keepBooks({ agreements, activities, allocations, demands, documents, bound: gsb.bound }),
    fault: (where: string, fault: EndpointFault | ProviderFault) =>
      scriptFault(where, fault, endpointFaults, named),
    payments: () => documents.payments(),
    workedMs: (activity) => activities.get(activity)?.workedMs ?? 0,
    faultsLeft: () => providers.flatMap((provider) => provider.faults.left()),
    heal() {
      endpointFaults.clear();
      for (const provider of providers) {
        provider.faults.clear();
        provider.alive = true;
      }
    },
    kill: (name) => activities.die(named(name)),
    terminate(name, reason) {
      const provider = named(name);
      for (const agreement of agreements.all())
        if (agreement.provider === provider) agreements.endByProvider(agreement, reason);
    },
    down: server.close,
    up,
    async restart(how) {
      await server.close();
      await up(how);
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function scriptFault(
  where: string,
  fault: EndpointFault | ProviderFault,
  endpoints: EndpointFaults,
  named: (name: string) => Provider,
): void {
  if ('at' in fault) named(where).faults.add(fault);
  else endpoints.add(where as Endpoint, fault);
}

function ownRoutes(identity: string, version: string): Route[] {
  const me: IdentityApi.IdentityDTO = { identity, name: 'emulated', role: 'manager' };
  const current = {
    version,
    name: `v${version}`,
    seen: true,
    releaseTs: '2025-11-01T00:00:00',
    insertionTs: '2025-11-01T00:00:00',
  };
  return [
    { method: 'GET', pattern: '/me', handler: () => ok(me) },
    {
      method: 'GET',
      pattern: '/version/get',
      open: true,
      handler: () => ok({ current, pending: null }),
    },
  ];
}
