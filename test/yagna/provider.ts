import { nodeId } from './ids.ts';
import { createProviderFaults, type ProviderFault, type ProviderFaults } from './provider-faults.ts';

/** What a test or a player says about one provider; everything has a default. */
export interface ProviderScript {
  name?: string;
  /** By default derived from the name. */
  id?: string;
  /** Published as `golem.runtime.beacon-region`, the operator's own claim. */
  region?: string;
  /** Published as `golem.node.geo.country_code`. */
  country?: string;
  subnet?: string;
  runtime?: { name?: string; version?: string; capabilities?: string[] };
  hardware?: { threads?: number; cores?: number; memGib?: number; storageGib?: number; brand?: string };
  /** GLM per second and for the start of an activity, as decimals. */
  prices?: { start?: string; cpuSec?: string; envSec?: string };
  /** Networks it is paid on, as yagna names them. */
  networks?: string[];
  /** Put over the offer's properties; null removes one. */
  properties?: Record<string, unknown>;
  /** What it asks of a demand, besides its subnet and an expiration ahead. */
  constraints?: string;
  /** Agreements at a time; more are refused. */
  capacity?: number;
  /** How long it takes for things, in milliseconds. */
  speed?: Partial<Speed>;
  /** Fixed usage instead of what was measured, in seconds, as decimals. */
  usage?: { cpuSec: string; durationSec: string };
  /** The address of 127.0.0.0/8 that its activities' requests come from. Without one they have no network. */
  egress?: string;
  /** URLs that a demand's manifest may ask for, `*` at the end is anything; all where there is an `egress`, else none. */
  allowedUrls?: string[];
  /** How far its clock is off. */
  clockSkewMs?: number;
  faults?: ProviderFault[];
}

export interface Speed {
  offerMs: number;
  counterMs: number;
  approvalMs: number;
  deployMs: number;
  invoiceMs: number;
  /** Between debit notes; by default what the demand asks for. */
  debitNoteMs: number | null;
  /** How long it waits for a debit note's acceptance; by default what the demand says. */
  acceptDebitNoteMs: number | null;
  /** How long it bears an agreement without an activity. */
  noActivityMs: number;
}

const SPEED: Speed = {
  offerMs: 1,
  counterMs: 1,
  approvalMs: 5,
  deployMs: 5,
  invoiceMs: 5,
  debitNoteMs: null,
  acceptDebitNoteMs: null,
  noActivityMs: 90_000,
};

export interface Provider {
  readonly id: string;
  readonly offerId: string;
  readonly name: string;
  readonly script: ProviderScript;
  readonly prices: { start: string; cpuSec: string; envSec: string };
  readonly speed: Speed;
  readonly properties: Record<string, unknown>;
  readonly constraints: string;
  readonly faults: ProviderFaults;
  /** A dead provider answers nothing: every call about it ends in a GSB error. */
  alive: boolean;
}

export function createProvider(script: ProviderScript, index: number): Provider {
  const name = script.name ?? `provider-${index + 1}`;
  const id = script.id ?? nodeId(name);
  const prices = { start: '0', cpuSec: '0.00001', envSec: '0.000005', ...script.prices };
  const subnet = script.subnet ?? 'public';
  return {
    id,
    offerId: nodeId(`offer of ${id}`).slice(2),
    name,
    script,
    prices,
    speed: { ...SPEED, ...script.speed },
    properties: propertiesOf(script, { id, name, subnet, prices }),
    constraints: `(&(golem.node.debug.subnet=${subnet})(golem.srv.comp.expiration>0)${script.constraints ?? ''})`,
    faults: createProviderFaults(script.faults ?? []),
    alive: true,
  };
}

function propertiesOf(
  script: ProviderScript,
  known: { id: string; name: string; subnet: string; prices: Provider['prices'] },
): Record<string, unknown> {
  const { id, name, subnet, prices } = known;
  const threads = script.hardware?.threads ?? 4;
  const runtime = script.runtime?.name ?? 'vm';
  const all: Record<string, unknown> = {
    'golem.activity.caps.transfer.protocol': ['http', 'https', 'gftp'],
    'golem.com.payment.debit-notes.accept-timeout?': 240,
    'golem.com.payment.protocol.version': 3,
    ...paymentAddresses(id, script.networks ?? ['hoodi', 'polygon']),
    'golem.com.pricing.model': 'linear',
    'golem.com.pricing.model.linear.coeffs': [prices.cpuSec, prices.envSec, prices.start].map(Number),
    'golem.com.scheme': 'payu',
    'golem.com.scheme.payu.debit-note.interval-sec?': 120,
    'golem.com.scheme.payu.payment-timeout-sec?': 120,
    'golem.com.usage.vector': ['golem.usage.cpu_sec', 'golem.usage.duration_sec'],
    'golem.inf.cpu.architecture': 'x86_64',
    'golem.inf.cpu.brand': script.hardware?.brand ?? 'Emulated CPU @ 3.00GHz',
    'golem.inf.cpu.capabilities': ['sse4_2', 'avx2'],
    'golem.inf.cpu.cores': script.hardware?.cores ?? threads,
    'golem.inf.cpu.model': 'Stepping 1 Family 6 Model 1',
    'golem.inf.cpu.threads': threads,
    'golem.inf.cpu.vendor': 'GenuineEmulator',
    'golem.inf.mem.gib': script.hardware?.memGib ?? 8,
    'golem.inf.storage.gib': script.hardware?.storageGib ?? 40,
    'golem.node.debug.subnet': subnet,
    'golem.node.id.name': name,
    'golem.node.net.is-public': true,
    'golem.runtime.capabilities': script.runtime?.capabilities ?? ['inet', 'vpn', 'manifest-support'],
    'golem.runtime.name': runtime,
    'golem.runtime.version': script.runtime?.version ?? '0.5.3',
    'golem.srv.caps.multi-activity': true,
    'golem.srv.caps.payload-manifest': runtime.startsWith('vm'),
    ...(script.region === undefined ? {} : { 'golem.runtime.beacon-region': script.region }),
    ...(script.country === undefined ? {} : { 'golem.node.geo.country_code': script.country }),
    ...script.properties,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null));
}

function paymentAddresses(id: string, networks: string[]): Record<string, string> {
  return Object.fromEntries(
    networks.map((network) => [`golem.com.payment.platform.${platformOf(network)}.address`, id]),
  );
}

export const platformOf = (network: string) =>
  `erc20-${network}-${network === 'mainnet' || network === 'polygon' ? 'glm' : 'tglm'}`;
