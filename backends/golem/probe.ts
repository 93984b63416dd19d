/** One request from inside a provider's activity to our echo endpoint, whose source address tells where it is. */
import type { Work } from '../backend.ts';
import { probeNeed, type RegionObservation, type RegionPolicy } from '../../domain/region/judge.ts';
import { ECHO_PATH, type RegionEvidenceSource } from './region-evidence.ts';
import type { Golem } from './sdk.ts';
import { bounded, unlessAborted } from './waiting.ts';
import { quoted } from './wrapper.ts';

/** What a provider's runtime must offer to reach anything. */
export const NETWORK_CAPABILITIES = ['inet', 'manifest-support'];

/** Whether an attempt asks its provider for a probe: where one is due for any of its candidates. */
export function isProbing(
  { region, negotiated }: Pick<Work, 'region' | 'negotiated'>,
  policy: RegionPolicy,
  canProbe: boolean,
): boolean {
  const candidates = negotiated?.candidates ?? [];
  return (
    region !== null && candidates.some(({ claim }) => probeNeed(policy, claim.class, canProbe) === 'required')
  );
}

/** The computation manifest that opens the way to the echo endpoint and to nothing else. */
export function manifestFor(echoUrl: string, now: Date): string {
  const manifest = {
    version: '0.1.0',
    createdAt: now.toISOString(),
    expiresAt: new Date(now.getTime() + 24 * 3_600_000).toISOString(),
    metadata: { name: 'beacon', description: 'A job of Beacon', version: '0.1.0' },
    payload: [],
    compManifest: {
      version: '0.1.0',
      script: { commands: ['run .*', 'transfer .*'], match: 'regex' },
      net: {
        inet: { out: { protocols: ['http', 'https'], urls: [echoUrl.replace(/\/+$/, '') + ECHO_PATH] } },
      },
    },
  };
  return Buffer.from(JSON.stringify(manifest)).toString('base64');
}

const CLIENT_SECONDS = 5;

/** Null when no request came, whatever the provider says of it. */
export async function probe(
  exe: Golem.ExeUnit,
  evidence: RegionEvidenceSource,
  { executionId, attempt }: Pick<Work, 'executionId' | 'attempt'>,
  { signal, withinMs }: { signal: AbortSignal; withinMs: number },
): Promise<RegionObservation | null> {
  const { url, nonce } = await evidence.expectProbe(executionId, attempt);
  const own = bounded(signal, withinMs, () => new Error('the probe took too long'));
  const at = quoted(url);
  const line = `wget -q -T ${CLIENT_SECONDS} -O /dev/null ${at} || curl -fsS -m ${CLIENT_SECONDS} -o /dev/null ${at}`;
  try {
    await unlessAborted(own.signal, exe.run(line));
  } catch {
    if (signal.aborted) throw signal.reason;
  } finally {
    own.done();
  }
  return evidence.observed(nonce);
}
