import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { golemOn, runOnGolem } from '../../test/support/golem.ts';
import type { ProviderScript } from '../../test/yagna/provider.ts';
import { startYagna } from '../../test/yagna/yagna.ts';
import type { Region } from '../../domain/jobspec/region.ts';
import type { RegionPolicy } from '../../domain/region/judge.ts';
import { createRegionEvidence, ECHO_PATH } from './region-evidence.ts';
import { createHash } from 'node:crypto';

/** Where the emulator's providers go out, as a database of addresses has it. */
const COUNTRIES: Record<string, string> = { '127.0.0.21': 'US', '127.0.0.22': 'DE' };

const seen = new Map<string, { address: string; seenAt: Date }>();
const echo = createServer((request, response) => {
  const nonce = request.url?.slice(ECHO_PATH.length) ?? '';
  const address = request.socket.remoteAddress ?? '';
  seen.set(createHash('sha256').update(nonce).digest('hex'), { address, seenAt: new Date() });
  response.end();
});
let echoUrl: string;

beforeAll(async () => {
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
  echoUrl = `http://127.0.0.1:${(echo.address() as AddressInfo).port}`;
});
afterAll(() => echo.close());

async function attempt(provider: ProviderScript, region: Region, regionPolicy: RegionPolicy) {
  const evidence = createRegionEvidence({
    nonces: { expect: () => Promise.resolve(), seen: async (sha256) => seen.get(sha256.toString('hex')) },
    echoUrl,
    geo: {
      database: 'test',
      builtAt: '2026-01-01T00:00:00.000Z',
      countryOf: (address) => COUNTRIES[address.replace('::ffff:', '')] ?? null,
    },
  });
  const yagna = await startYagna({ providers: [{ allowedUrls: ['*'], ...provider }] });
  const golem = golemOn(yagna, { echoUrl }, evidence);
  try {
    const asked = { regionPolicy, maxCost: null, providers: [] };
    const told = await runOnGolem(golem, ['echo', 'answered'], { work: { region, asked } });
    return { ...told.outcome, problems: yagna.books().problems, phases: told.phases };
  } finally {
    await golem[Symbol.asyncDispose]();
    await yagna.stop();
  }
}

describe.concurrent('a provider', { timeout: 30_000 }, () => {
  it('that is where it says is verified by the request that it made', async () => {
    const done = await attempt({ region: 'US', egress: '127.0.0.21' }, 'US', 'verified');
    expect(done).toMatchObject({
      exitCode: 0,
      problems: [],
      placement: { region: { claimed: 'US', observed: 'US', verified: true, method: 'preflight-geoip' } },
    });
  });

  it.each(['verified', 'claimed'] as const)(
    'that says nothing of its region runs after a probe only, under %s',
    async (policy) => {
      const done = await attempt({ egress: '127.0.0.22' }, 'EU', policy);
      expect(done).toMatchObject({
        exitCode: 0,
        placement: { region: { claimed: null, observed: 'EU', verified: true } },
      });
      expect(done.phases).toContain('probing');
    },
  );

  it('that lies gets nothing of the job and is never verified', async () => {
    const done = await attempt({ region: 'US', egress: '127.0.0.22' }, 'US', 'verified');
    expect(done).toMatchObject({
      failure: { code: 'region_not_observed' },
      exitCode: null,
      problems: [],
      placement: { region: { claimed: 'US', observed: 'EU', verified: false } },
    });
    expect(done.phases).not.toContain('running');
  });

  it('that makes no request is not taken', async () => {
    const done = await attempt({ region: 'US' }, 'US', 'verified');
    expect(done).toMatchObject({
      failure: { code: 'region_not_observed' },
      placement: { region: { observed: null, verified: false } },
    });
  });

  it('whose region nobody can look at is not asked where it must be verified', async () => {
    const yagna = await startYagna({ providers: [{ region: 'US' }] });
    const golem = golemOn(yagna, { regionPolicy: 'verified' });
    const { outcome } = await runOnGolem(golem, ['true']);
    expect(outcome.failure?.code).toBe('offers_filtered_out');
    expect(yagna.books().agreements).toEqual([]);
    await golem[Symbol.asyncDispose]();
    await yagna.stop();
  });
});
