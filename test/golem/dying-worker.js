// A process that runs one attempt on the emulated network and tells its parent what it commits and which phase begins;
// the parent kills it. Of the build, since starting from sources takes longer than the attempt. See recovery.test.ts.
import { createGolemBackend } from '../../dist/backends/golem/index.js';
import { createRegionEvidence } from '../../dist/backends/golem/region-evidence.js';

const tell = (what) => new Promise((resolve) => process.send(what, () => resolve()));
const log = { debug() {}, info() {}, warn() {} };
const nonces = { expect: async () => undefined, seen: async () => undefined };

process.once('message', async ({ settings, work }) => {
  const evidence = createRegionEvidence({ nonces, echoUrl: null, geo: null });
  const golem = createGolemBackend(settings, { log, evidence });
  const step = {
    signal: new AbortController().signal,
    budgetMs: 90_000,
    record: (ids) => tell({ ids: { ...ids } }),
    pinImage: async (_image, digest) => digest,
    heartbeat: (phase) => void tell({ phase }),
    log() {},
    negotiated: async () => undefined,
    reserve: async () => ({ ok: true }),
    settle: async () => undefined,
    store: async () => ({ sha256: '0'.repeat(64), size: 0 }),
  };
  const whole = { ...work, input: Buffer.from('{}') };
  try {
    const negotiated = await golem.negotiate(whole, step.signal);
    const { failure } = await golem.execute({ ...whole, negotiated }, step);
    await tell({ ended: failure?.code ?? 'completed' });
  } catch (error) {
    await tell({ ended: String(error) });
  }
});
process.on('disconnect', () => process.exit());
