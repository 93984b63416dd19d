// The worker of bench/golem.js: the Golem backend as it is, with a step that keeps nothing.
import { randomUUID } from 'node:crypto';
import { createGolemBackend, golemSettings } from '../../dist/backends/golem/index.js';
import { createRegionEvidence } from '../../dist/backends/golem/region-evidence.js';

const log = {
  debug() {},
  info() {},
  warn: (fields, message) => console.error(message, fields.err?.message ?? ''),
};
const nonces = { expect: async () => undefined, seen: async () => undefined };
let golem;

async function one() {
  const executionId = randomUUID();
  const work = {
    executionId,
    attempt: 1,
    name: `${executionId}-1`,
    region: 'US',
    image: 'bench',
    imageDigest: null,
    command: ['sh', '-c', 'echo answered'],
    environment: {},
    resources: {},
    asked: { regionPolicy: null, maxCost: null, providers: [] },
    input: Buffer.from('{}'),
  };
  const signal = new AbortController().signal;
  let activity = '';
  const step = {
    signal,
    budgetMs: 60_000,
    record: async (ids) => void (activity = ids.activity ?? ''),
    pinImage: async (_image, digest) => digest,
    heartbeat() {},
    negotiated: async () => undefined,
    log() {},
    reserve: async () => ({ ok: true }),
    settle: async () => undefined,
    store: async (bytes) => ({ sha256: '0'.repeat(64), size: bytes.length }),
  };
  const began = performance.now();
  const negotiated = await golem.negotiate(work, signal);
  const { failure } = await golem.execute({ ...work, negotiated }, step);
  if (failure !== undefined) console.error(failure.code, failure.message);
  return { totalMs: performance.now() - began, activity, failed: failure === undefined ? 0 : 1 };
}

const answers = {
  start({ url, key, image }) {
    const { url: from, sha3 } = image;
    golem = createGolemBackend(
      golemSettings({
        yagnaUrl: url,
        apiKey: key,
        images: { bench: { url: from, sha3_224: sha3, volume: '/golem/work' } },
        negotiations: 50,
      }),
      { log, evidence: createRegionEvidence({ nonces, echoUrl: null, geo: null }) },
    );
  },
  async run({ count, parallel }) {
    const done = [];
    let left = count;
    const lane = async () => {
      while (left-- > 0) done.push(await one());
    };
    await Promise.all(Array.from({ length: parallel }, lane));
    return {
      failed: done.reduce((sum, { failed }) => sum + failed, 0),
      totalMs: done.map(({ totalMs }) => totalMs),
      activities: done.map(({ activity }) => activity),
    };
  },
  memory() {
    globalThis.gc();
    globalThis.gc();
    return { heapMib: process.memoryUsage().heapUsed / 2 ** 20 };
  },
};
process.on('message', async ({ id, ...asked }) => {
  const [name] = Object.keys(asked);
  try {
    process.send({ id, answer: await answers[name](asked[name]) });
  } catch (error) {
    process.send({ id, error: String(error?.stack ?? error) });
  }
});
process.on('disconnect', () => process.exit());
