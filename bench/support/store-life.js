/** A job from submit to its place in the log through the product's own functions, each step timed; nothing is run. */
import { createHash } from 'node:crypto';
import { createAttester } from '../../dist/activities/attester.js';
import { stageAttempt } from '../../dist/activities/stage-outcome.js';
import { appendPending } from '../../dist/attestation/log/append.js';
import { loadLog } from '../../dist/attestation/log/load.js';
import { publishHead } from '../../dist/attestation/log/publish.js';
import { fixedSigning } from '../../dist/attestation/receipt/signing.js';
import { expandPlan } from '../../dist/domain/jobspec/expand.js';
import { parseJobSpec } from '../../dist/domain/jobspec/spec.js';
import { parseStrictJson } from '../../dist/domain/json/parse.js';
import { createBusinessEvents } from '../../dist/observability/events.js';
import { createLogger } from '../../dist/observability/log.js';
import { createMetrics } from '../../dist/observability/metrics.js';
import { beginAttempt } from '../../dist/store/begin-attempt.js';
import { givePositions } from '../../dist/store/feed.js';
import { findLog } from '../../dist/store/log-state.js';
import { createSubmitter } from '../../dist/store/submit.js';
import { generateKey, signedBody, spec } from './specs.js';

const TIMEOUT_MS = 60_000;

/** @param {import('../../dist/store/pool.js').Pool} pool */
export async function createLife(pool, { logId, receiptKey, logKey }) {
  const key = generateKey();
  const submitter = createSubmitter({ pool, notifier: { notify: () => undefined } });
  const events = createBusinessEvents(createLogger('bench', 'silent'), createMetrics());
  const attester = createAttester({
    pool,
    signing: fixedSigning(logId, receiptKey),
    software: { name: 'beacon', version: 'bench' },
    events,
    committed: () => undefined,
  });
  const signer = logKey.signerFor((await findLog(pool)).origin);
  let log = await loadLog(pool, logId, undefined);

  /** The steps of one job; each is to be called once, in this order. */
  function steps() {
    const job = submitOf(signedBody(spec(1), key), key);
    const output = Buffer.from(`the answer to ${job.id}`);
    const sha256 = createHash('sha256').update(output).digest();
    let row;
    return {
      submit: () => submitter.submit(job),
      async begin() {
        const begun = await beginAttempt(pool, {
          jobId: job.id,
          index: 0,
          attempt: 1,
          backend: 'local',
          region: 'US',
          timeoutMs: TIMEOUT_MS,
          providerTimeoutMs: TIMEOUT_MS,
        });
        if (begun.kind !== 'begun') throw new Error(`${job.id} is ${begun.kind}`);
        row = begun.work;
      },
      /** Keeps the answer and attests it, as a worker with a receipt key does. */
      async attest() {
        const held = new Map([[sha256.toString('hex'), output]]);
        const staging = { pool, jobId: job.id, row, held, attester, events };
        const end = await stageAttempt(staging, outcomeOf(output, sha256), undefined);
        if (end !== 'attested') throw new Error(`${job.id} is ${end}`);
      },
      positions: () => givePositions(pool),
      async append() {
        log = (await appendPending(pool, logId, log)).log;
        await publishHead(pool, logId, log, [signer]);
      },
    };
  }

  return { steps, [Symbol.asyncDispose]: () => submitter[Symbol.asyncDispose]() };
}

function submitOf(raw, key) {
  const parsed = parseJobSpec(parseStrictJson(raw));
  const sha256 = createHash('sha256').update(raw).digest();
  return {
    id: parsed.id,
    idGiven: true,
    owner: key.text,
    form: 'P1',
    messageSha256: sha256,
    requestSha256: sha256,
    nonce: parsed.nonce ?? null,
    idempotencyKey: null,
    raw,
    name: parsed.benchmark.name,
    plan: expandPlan(parsed, {
      backends: { '*': ['local'] },
      deadlineMs: 3_600_000,
      maxParallel: 10,
      attemptsPerRegion: 3,
    }),
    questions: parsed.questions,
    visibility: parsed.visibility,
  };
}

function outcomeOf(output, sha256) {
  return {
    placement: {
      backend: 'local',
      provider: 'bench',
      region: { requested: 'US', claimed: null, observed: null, verified: false, method: 'none' },
    },
    imageRequested: 'builtin:echo',
    imageExecuted: null,
    isolation: 'process',
    startedAt: new Date().toISOString(),
    durationMs: 12,
    output: { sha256: sha256.toString('hex'), size: output.length },
    files: [],
    limits: {},
    exitCode: 0,
  };
}
