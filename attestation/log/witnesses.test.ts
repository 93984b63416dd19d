import { randomBytes } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verifyCosignature } from '../../domain/log/cosignature.ts';
import { parseNote } from '../../domain/log/note.ts';
import { parsePolicy } from '../../domain/log/policy.ts';
import { formatCosignerVkey, type CosignatureSigner } from '../../domain/log/cosignature.ts';
import { createLogger } from '../../observability/log.ts';
import { readCosignatures } from '../../store/log-cosignatures.ts';
import { givePositions, readTail } from '../../store/feed.ts';
import { findLog, type LogHead } from '../../store/log-state.ts';
import { createNotifier, createWakeups, type Notifier, type Wakeups } from '../../store/notify.ts';
import { eventually } from '../../test/support/eventually.ts';
import { putPending } from '../../test/support/pending.ts';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { loadCosigner } from '../keys/cosigner-key.ts';
import { generateLogKey } from '../keys/log-key.ts';
import { fixedLogKeyring } from '../keys/log-keyring.ts';
import { nodeSha256, nodeVerifiers } from '../keys/node-verifiers.ts';
import { generateReceiptKey } from '../keys/receipt-key.ts';
import { folderMemory } from '../witness/memory.ts';
import { startWitnessServer } from '../witness/server.ts';
import { createWitness } from '../witness/witness.ts';
import { openLog } from './open.ts';
import { createLogReader } from './reader.ts';
import { registerFirstReceiptKey } from './receipt-keys.ts';
import { startSequencer, type Sequencer } from './sequencer.ts';
import type { Witnessing } from './witnesses.ts';

const receiptKey = generateReceiptKey();
const logKey = generateLogKey();
const ORIGIN = 'beacon.test/log';
const quiet = createLogger('test', 'silent');

interface Named {
  name: string;
  signer: CosignatureSigner;
  url: string;
}

let db: TestDatabase;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let log: LogHead;
let notifier: Notifier;
let wakeups: Wakeups;
const parts: AsyncDisposable[] = [];
/** What witnesses answered, by name. */
let asked: Record<string, string[]> = {};

beforeEach(async () => {
  folder = await temporaryFolder();
  await openDatabase();
  asked = {};
});
afterEach(async () => {
  await stop();
  for (const part of [notifier, wakeups, db, folder]) await part[Symbol.asyncDispose]();
});

async function openDatabase(): Promise<void> {
  db = await testDatabase();
  log = await openLog(db.pool, { origin: ORIGIN });
  await registerFirstReceiptKey(db.pool, log.logId, receiptKey);
  notifier = createNotifier(db.pool);
  wakeups = await createWakeups(db.url);
}
async function stop(): Promise<void> {
  for (const part of parts.splice(0).reverse()) await part[Symbol.asyncDispose]();
}

/** A witness of ours as `beacon witness` runs it; its key and memory stay in the folder of its name. */
async function witness(name: string): Promise<Named> {
  const home = path.join(folder.path, name);
  const signer = await loadCosigner({ file: path.join(home, 'keys', 'witness.pem') }, `witness.test/${name}`);
  const memory = folderMemory(path.join(home, 'cosigned'));
  const keys = () => [logKey.signerFor(ORIGIN)];
  const server = await startWitnessServer({
    witness: createWitness({ memory, signer, keys }),
    listen: { host: '127.0.0.1', port: 0 },
    log: quiet,
  });
  parts.push(server);
  return { name, signer, url: server.url };
}

/** Something that answers as no witness does. */
async function impostor(name: string, answer: RequestListener): Promise<Named> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  parts.push({
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
  const signer = await loadCosigner({ file: path.join(folder.path, name, 'w.pem') }, `witness.test/${name}`);
  return { name, signer, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

function policyOf(quorum: string, ...witnesses: Named[]): Witnessing['policy'] {
  const lines = witnesses.map(
    ({ name, signer, url }) => `witness ${name} ${formatCosignerVkey(signer)} ${url}`,
  );
  return parsePolicy([...lines, quorum].join('\n'), nodeSha256);
}

function sequencer(
  policy: Witnessing['policy'],
  mode: Witnessing['mode'] = 'publish-then-collect',
): Sequencer {
  const started = startSequencer({
    pool: db.pool,
    databaseUrl: db.url,
    logId: log.logId,
    logKeys: fixedLogKeyring(logKey),
    notifier,
    wakeups,
    witnessing: { policy, mode, spacingMs: 20, timeoutMs: 500 },
    events: {
      checkpointSigned: () => undefined,
      sequencersMet: () => undefined,
      entryRefused: () => undefined,
      witnessAsked: ({ witness: name, kind }) => (asked[name] ??= []).push(kind),
    },
    log: quiet,
  });
  parts.push(started);
  return started;
}

async function put(count: number): Promise<void> {
  const leaves = Array.from({ length: count }, () => ({ leaf: randomBytes(40), keyId: receiptKey.id }));
  await putPending(db.pool, log.logId, leaves);
  notifier.notify('log');
}
const newest = () => createLogReader(db.pool, log.logId).newestCheckpoint();
const shows = (size: number) => eventually(async () => ((await newest())?.size === size ? true : undefined));
const holds = (size: number) =>
  eventually(async () => ((await findLog(db.pool))?.size === size ? true : undefined));
/** Until these and nobody else cosigned the newest checkpoint, which has `size` entries; every line is checked. */
async function cosignedBy(size: number, ...witnesses: Named[]): Promise<void> {
  const wanted = witnesses.map(({ signer }) => signer.name).sort();
  await eventually(async () => {
    const checkpoint = await newest();
    if (checkpoint?.size !== size) return undefined;
    const lines = await readCosignatures(db.pool, log.logId, size);
    const { text } = parseNote(checkpoint.note);
    for (const { line } of lines)
      verifyCosignature(
        text,
        line.trimEnd(),
        witnesses.map(({ signer }) => signer),
        nodeVerifiers,
      );
    return lines
      .map(({ cosigner }) => cosigner)
      .sort()
      .join() === wanted.join()
      ? true
      : undefined;
  });
}
const refusing = (one: Sequencer) =>
  eventually(() => (one.status().state === 'refusing' ? (one.status().error ?? '') : undefined));

describe('publish-then-collect', () => {
  it('shows at once and collects a cosignature of each witness, for every newest checkpoint', async () => {
    const [a, b] = [await witness('a'), await witness('b')];
    sequencer(policyOf('group g all a b\nquorum g', a, b));
    await put(3);
    await cosignedBy(4, a, b);
    await put(300);
    await cosignedBy(304, a, b);
    expect(new Set([...asked.a!, ...asked.b!])).toEqual(new Set(['cosigned']));
  });

  it('is not held up by a witness that is away, and asks it when it is back', async () => {
    const a = await witness('a');
    const gone = await impostor('b', (_request, response) => response.writeHead(503).end());
    sequencer(policyOf('quorum a', a, gone));
    await put(3);
    await cosignedBy(4, a);
    await eventually(() => ((asked.b ?? []).includes('failed') ? true : undefined));
    await put(1);
    await cosignedBy(5, a);
  });

  it('learns from a conflict what a witness has, and proves from there', async () => {
    const a = await witness('a');
    sequencer(policyOf('quorum a', a));
    await put(3);
    await cosignedBy(4, a);
    await stop();
    // As if the answer had been lost on the way.
    await db.pool.query('set role none; delete from beacon.log_cosignatures; set role beacon_app');
    asked.a = [];
    const again = await witness('a');
    sequencer(policyOf('quorum a', again));
    await put(3);
    await cosignedBy(7, again);
    expect(asked.a.slice(0, 2)).toEqual(['conflict', 'cosigned']);
  });

  it.each<[string, RequestListener]>([
    ['nonsense', (_q, response) => response.end('hello\n')],
    [
      'a line of another key',
      (_q, response) => response.end('— witness.test/z AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n'),
    ],
    ['what is no UTF-8', (_q, response) => response.end(Buffer.from([0xff, 0xfe, 0x0a]))],
    ['far too much', (_q, response) => response.end('x'.repeat(200_000))],
    ['a redirect', (_q, response) => response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end()],
    ['a conflict without a size', (_q, response) => response.writeHead(409).end('7\n')],
    [
      'a conflict that is no number',
      (_q, response) => response.writeHead(409, { 'content-type': 'text/x.tlog.size' }).end('-1\n'),
    ],
    ['nothing, ever', () => undefined],
  ])('goes on when a witness answers %s', async (_what, answer) => {
    const [a, bad] = [await witness('a'), await impostor('bad', answer)];
    const one = sequencer(policyOf('quorum a', a, bad));
    await put(2);
    await cosignedBy(3, a);
    await eventually(() => ((asked.bad ?? []).includes('failed') ? true : undefined));
    await put(2);
    await cosignedBy(5, a);
    expect(one.status().state).toBe('leading');
    expect(new Set(asked.bad)).toEqual(new Set(['failed']));
  });
});

describe('wait', () => {
  const told = async () => {
    while ((await givePositions(db.pool)) > 0);
    return (await readTail(db.pool, 0, 500)).events.length;
  };

  it('shows and tells what enough witnesses cosigned, and nothing else', async () => {
    const [a, b] = [await witness('a'), await witness('b')];
    const { signer } = await witness('c');
    const away = await impostor('away', (_request, response) => response.writeHead(503).end());
    sequencer(policyOf('group g 3 a b c\nquorum g', a, b, { ...away, name: 'c', signer }), 'wait');
    await put(3);
    await holds(4);
    await eventually(() => ((asked.c ?? []).length > 2 ? true : undefined));
    expect(await newest()).toBeUndefined();
    expect((await findLog(db.pool))?.size).toBe(4);
    expect(await told()).toBe(0);
    await stop();
    // Now all three are there; what is signed already is cosigned and shown.
    const all = [await witness('a'), await witness('b'), await witness('c')];
    const one = sequencer(policyOf('group g 3 a b c\nquorum g', ...all), 'wait');
    await shows(4);
    expect(await told()).toBe(4);
    await put(200);
    await shows(204);
    await cosignedBy(204, ...all);
    expect(await told()).toBe(204);
    expect(one.status().size).toBe(204);
  });

  it('two of three are enough while one is away', async () => {
    const [a, b] = [await witness('a'), await witness('b')];
    const gone = await impostor('c', (_request, response) => response.writeHead(500).end());
    sequencer(policyOf('group g 2 a b c\nquorum g', a, b, gone), 'wait');
    for (let size = 2; size <= 6; size += 1) {
      await put(1);
      await shows(size);
    }
  });
});

describe('a witness that knows better', () => {
  /** The same log, keys and origin on a database that never saw what was cosigned. */
  async function loseDatabase(): Promise<void> {
    await stop();
    for (const part of [notifier, wakeups, db]) await part[Symbol.asyncDispose]();
    await openDatabase();
  }

  it('has more entries than the database: nothing is signed any more', async () => {
    const a = await witness('a');
    sequencer(policyOf('quorum a', a));
    await put(9);
    await cosignedBy(10, a);
    await loseDatabase();
    const again = await witness('a');
    const behind = sequencer(policyOf('quorum a', again));
    expect(await refusing(behind)).toMatch(/a cosigned 10 entries, the database holds \d/);
    const { size } = (await findLog(db.pool))!;
    await put(5);
    expect((await findLog(db.pool))?.size).toBe(size);
  });

  it('has another history: nothing is signed any more', async () => {
    const a = await witness('a');
    sequencer(policyOf('quorum a', a));
    await put(9);
    await cosignedBy(10, a);
    await loseDatabase();
    // Nobody asks while the other history grows beyond the first.
    const alone = sequencer(policyOf('quorum none'));
    await put(30);
    await shows(31);
    await alone[Symbol.asyncDispose]();
    const forked = sequencer(policyOf('quorum a', await witness('a')));
    expect(await refusing(forked)).toContain('do not continue the 10');
    expect(asked.a!.slice(-2)).toEqual(['conflict', 'inconsistent']);
  });

  it('has another root for as many entries: nothing is signed any more', async () => {
    const a = await witness('a');
    sequencer(policyOf('quorum a', a));
    await put(9);
    await cosignedBy(10, a);
    await loseDatabase();
    const alone = sequencer(policyOf('quorum none'));
    await put(9);
    await shows(10);
    await alone[Symbol.asyncDispose]();
    expect(await refusing(sequencer(policyOf('quorum a', await witness('a'))))).toContain('another root');
  });
});
