import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { generateLogKey } from '../../attestation/keys/log-key.ts';
import { fixedLogKeyring } from '../../attestation/keys/log-keyring.ts';
import { nodeSha256, nodeVerifiers } from '../../attestation/keys/node-verifiers.ts';
import { generateReceiptKey } from '../../attestation/keys/receipt-key.ts';
import { openLog } from '../../attestation/log/open.ts';
import { createLogReader } from '../../attestation/log/reader.ts';
import { registerFirstReceiptKey } from '../../attestation/log/receipt-keys.ts';
import { startSequencer } from '../../attestation/log/sequencer.ts';
import { parseCosignerVkey, verifyCosignature } from '../../domain/log/cosignature.ts';
import { parseNote } from '../../domain/log/note.ts';
import { parsePolicy } from '../../domain/log/policy.ts';
import { formatVkey } from '../../domain/log/vkey.ts';
import { createLogger } from '../../observability/log.ts';
import { readCosignatures } from '../../store/log-cosignatures.ts';
import { createNotifier, createWakeups } from '../../store/notify.ts';
import { eventually } from '../support/eventually.ts';
import { litewitnessMissing, startLitewitness, type Litewitness } from '../support/litewitness.ts';
import { describeNeeding } from '../support/needing.ts';
import { putPending } from '../support/pending.ts';
import { testDatabase } from '../support/postgres.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const ORIGIN = 'beacon.test/log';
const logKey = generateLogKey();
const receiptKey = generateReceiptKey();

/** One log on a database of its own. */
async function openStand(lite: Litewitness) {
  const db = await testDatabase();
  const { logId } = await openLog(db.pool, { origin: ORIGIN });
  await registerFirstReceiptKey(db.pool, logId, receiptKey);
  const reader = createLogReader(db.pool, logId);
  return {
    reader,
    async grow(size: number, { mode = 'wait' as const, quorum = 'lite', asks = true } = {}) {
      await using notifier = createNotifier(db.pool);
      await using wakeups = await createWakeups(db.url);
      const kinds: string[] = [];
      await using sequencer = startSequencer({
        pool: db.pool,
        databaseUrl: db.url,
        logId,
        logKeys: fixedLogKeyring(logKey),
        notifier,
        wakeups,
        witnessing: {
          policy: parsePolicy(
            `witness lite ${lite.vkey} ${asks ? lite.url : ''}\nquorum ${quorum}`,
            nodeSha256,
          ),
          mode,
          spacingMs: 50,
          timeoutMs: 5_000,
        },
        events: {
          checkpointSigned: () => undefined,
          sequencersMet: () => undefined,
          entryRefused: () => undefined,
          witnessAsked: ({ kind }) => kinds.push(kind),
        },
        log: createLogger('test', 'silent'),
      });
      const held = (await reader.newestCheckpoint())?.size ?? 1;
      const leaves = Array.from({ length: size - held }, () => ({
        leaf: randomBytes(40),
        keyId: receiptKey.id,
      }));
      if (leaves.length > 0) await putPending(db.pool, logId, leaves);
      notifier.notify('log');
      const end = await eventually(async () => {
        const { state, error } = sequencer.status();
        if (state === 'refusing') return error;
        return (await reader.newestCheckpoint())?.size === size ? 'shown' : undefined;
      });
      return { end, kinds };
    },
    lines: (size: number) => readCosignatures(db.pool, logId, size),
    async forget() {
      await db.pool.query('set role none; delete from beacon.log_cosignatures; set role beacon_app');
    },
    [Symbol.asyncDispose]: () => db[Symbol.asyncDispose](),
  };
}

describeNeeding('litewitness', await litewitnessMissing(), () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let lite: Litewitness;
  beforeEach(async () => {
    folder = await temporaryFolder();
    lite = await startLitewitness(folder.path, [
      { origin: ORIGIN, vkey: formatVkey(logKey.signerFor(ORIGIN)) },
    ]);
  });
  afterEach(async () => {
    await lite[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  test('cosigns our checkpoints, and what it answers verifies', async () => {
    await using log = await openStand(lite);
    for (const size of [4, 256, 700]) {
      expect(await log.grow(size)).toMatchObject({ end: 'shown' });
      const { note } = await log.reader.checkpoint(size);
      const [line] = await log.lines(size);
      const key = parseCosignerVkey(lite.vkey, nodeSha256);
      expect(
        verifyCosignature(parseNote(note).text, line!.line.trimEnd(), [key], nodeVerifiers)?.key,
      ).toEqual(key);
    }
  });

  test('tells by a conflict what it has; we prove from there', async () => {
    await using log = await openStand(lite);
    await log.grow(9);
    await log.forget();
    const { end, kinds } = await log.grow(30);
    expect([end, kinds.slice(0, 2)]).toEqual(['shown', ['conflict', 'cosigned']]);
  });

  test('never cosigns a fork, and we sign no more of it', async () => {
    await using log = await openStand(lite);
    await log.grow(9);
    await using forked = await openStand(lite);
    expect(await forked.grow(30, { quorum: 'none', asks: false })).toMatchObject({ end: 'shown' });
    const { end, kinds } = await forked.grow(31);
    expect(end).toContain('do not continue the 9');
    expect(kinds).toEqual(['conflict', 'inconsistent']);
    expect(await forked.lines(31)).toEqual([]);
  });
});
