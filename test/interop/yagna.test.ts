// The emulator is only as true as what is known of yagna. This runs the same job on a real daemon, for whoever has one
// with money on a test network (docs/golem.md); it costs what the job costs.
import { describe, expect, it } from 'vitest';
import { createGolemBackend, golemSettings, type GolemSettings } from '../../backends/golem/index.ts';
import { createRest } from '../../backends/golem/rest.ts';
import { networkNamed } from '../../backends/golem/settings.ts';
import { newWork, outputOf, runAttempt } from '../backends/stand.ts';
import { eventually } from '../support/eventually.ts';
import { noEvidence, silentLog } from '../support/golem.ts';

const {
  BEACON_TEST_YAGNA_URL: yagnaUrl,
  BEACON_TEST_YAGNA_KEY: apiKey,
  BEACON_TEST_YAGNA_NETWORK: network = 'testnet',
  BEACON_TEST_YAGNA_SUBNET: subnet = 'public',
  /** `<url> <sha3-224>` of a GVMI with sh, tar, timeout and a VOLUME at /golem/work. */
  BEACON_TEST_YAGNA_IMAGE: image,
} = process.env;
const missing = Object.entries({
  BEACON_TEST_YAGNA_URL: yagnaUrl,
  BEACON_TEST_YAGNA_KEY: apiKey,
  BEACON_TEST_YAGNA_IMAGE: image,
}).flatMap(([name, value]) => (value === undefined || value === '' ? [name] : []));
const reason = `skipped: ${missing.join(', ')} not set, so there is no real yagna to ask`;
if (missing.length > 0) process.stderr.write(`test/interop/yagna.test.ts ${reason}\n`);

/** Providers far away fetch an image before they start it. */
const WAITS = { strictMs: 30_000, relaxedMs: 60_000, quietMs: 2_000, agreeMs: 180_000, deployMs: 600_000 };
const RUN_MS = 900_000;

function realSettings(): GolemSettings {
  const [url = '', sha3 = ''] = image!.split(' ');
  return golemSettings({
    yagnaUrl: yagnaUrl!,
    apiKey: apiKey!,
    network: networkNamed(network)!,
    subnet,
    images: { real: { url, sha3_224: sha3, volume: '/golem/work' } },
    waits: WAITS,
  });
}

describe.skipIf(missing.length > 0)(`a real yagna${missing.length > 0 ? ` (${reason})` : ''}`, () => {
  it('runs a job, is paid what was asked, and keeps nothing open', { timeout: RUN_MS }, async () => {
    const settings = realSettings();
    const rest = createRest(settings, 10_000);
    const before = (await rest.allocations()).map(({ allocationId }) => allocationId);
    await using golem = createGolemBackend(settings, { log: silentLog, evidence: noEvidence });
    const work = newWork({ image: 'real', command: ['sh', '-c', 'cat "$BEACON_INPUT"'], region: null });
    const negotiated = await golem.negotiate(work, AbortSignal.timeout(RUN_MS));
    expect(negotiated.candidates.length, JSON.stringify(negotiated.dropped)).toBeGreaterThan(0);
    const settled: (string | null)[] = [];
    const told = await runAttempt(
      golem,
      { ...work, negotiated },
      { budgetMs: 300_000, onSettle: (amount) => settled.push(amount) },
    );
    expect(told.outcome.failure).toBeUndefined();
    expect(outputOf(told)).toBe('{"question":"why?"}');
    expect(told.outcome.placement.provider).toMatch(/^0x[0-9a-f]{40}$/);
    expect(settled).toHaveLength(1);
    const agreements = told.recorded.agreement!.split(' ');
    for (const agreement of agreements) expect((await rest.agreement(agreement)).state).not.toBe('Approved');
    const invoices = await rest.invoicesSince(told.recorded.since!);
    const own = invoices.filter(({ agreementId }) => agreements.includes(agreementId));
    expect(own.map(({ status }) => status)).toSatisfy((all: string[]) =>
      all.every((one) => one === 'ACCEPTED' || one === 'SETTLED'),
    );
    await eventually(async () => {
      const now = (await rest.allocations()).map(({ allocationId }) => allocationId);
      return now.every((one) => before.includes(one)) ? true : undefined;
    });
  });

  it(
    'answers an attempt that is cancelled in the middle with nothing that goes on',
    { timeout: RUN_MS },
    async () => {
      const settings = realSettings();
      await using golem = createGolemBackend(settings, { log: silentLog, evidence: noEvidence });
      const work = newWork({ image: 'real', command: ['sleep', '600'], region: null });
      const negotiated = await golem.negotiate(work, AbortSignal.timeout(RUN_MS));
      const stop = new AbortController();
      let ids: Record<string, string> = {};
      const running = runAttempt(
        golem,
        { ...work, negotiated },
        {
          signal: stop.signal,
          budgetMs: 700_000,
          onRecord: async (recorded) => void (ids = recorded),
          onPhase(phase) {
            if (phase === 'running') setTimeout(() => stop.abort(new Error('told to stop')), 2_000);
          },
        },
      );
      await expect(running).rejects.toThrow('told to stop');
      await golem.release([{ name: work.name, ids }]);
      const rest = createRest(settings, 10_000);
      for (const agreement of ids.agreement!.split(' '))
        expect((await rest.agreement(agreement)).state).not.toBe('Approved');
    },
  );
});
