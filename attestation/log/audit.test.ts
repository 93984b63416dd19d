import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { putPending } from '../../test/support/pending.ts';
import { sequence } from '../../test/support/sequence.ts';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.ts';
import type { NoteSigner } from '../../domain/log/note.ts';
import { createPool } from '../../store/pool.ts';
import { generateLogKey } from '../keys/log-key.ts';
import { generateReceiptKey } from '../keys/receipt-key.ts';
import { createLogAudit, type AuditStep, type LogAudit } from './audit.ts';
import { loadLog } from './load.ts';
import { openLog } from './open.ts';
import { registerFirstReceiptKey } from './receipt-keys.ts';

const key = generateReceiptKey();
let db: TestDatabase;
let logId: string;
let signer: NoteSigner;
let audit: LogAudit;

beforeEach(async () => {
  db = await testDatabase();
  const log = await openLog(db.pool);
  ({ logId } = log);
  signer = generateLogKey().signerFor(log.origin);
  await registerFirstReceiptKey(db.pool, logId, key);
  audit = createLogAudit({ pool: db.pool, logId, keys: async () => [signer], pageGroups: 1, records: false });
});
afterEach(() => db[Symbol.asyncDispose]());

/** Appends `count` entries; the first call also the start of the receipt key. */
async function append(count: number): Promise<void> {
  await putPending(
    db.pool,
    logId,
    Array.from({ length: count }, () => ({ leaf: randomBytes(40), keyId: key.id })),
  );
  for (let entries = 1; entries > 0;) {
    ({ entries } = await sequence(db.pool, logId, await loadLog(db.pool, logId, undefined), signer));
  }
}

/** One round: what was said, and how many pages it took. */
async function round(): Promise<{ said: AuditStep[]; pages: number }> {
  const said: AuditStep[] = [];
  for (let pages = 1; ; pages++) {
    const step = await audit.next();
    if (step.kind === 'holds' || step.kind === 'broken') said.push(step);
    if (step.kind === 'rest' || step.kind === 'broken') return { said, pages };
  }
}

/** As somebody who may do everything in the database. */
async function tamper(sql: string): Promise<void> {
  const pool = createPool({ databaseUrl: db.url, name: 'test tamper', role: null });
  const { rowCount } = await pool.query(sql);
  await pool.end();
  expect(rowCount).toBe(1);
}

it('finds a log whole, an empty one too, and later looks at what is new and at a stretch from the start', async () => {
  expect((await round()).said).toEqual([{ kind: 'holds', size: 0 }]);
  await append(699);
  expect(await round()).toEqual({ said: [{ kind: 'holds', size: 700 }], pages: 6 });
  await append(30);
  expect(await round()).toEqual({ said: [{ kind: 'holds', size: 730 }], pages: 4 });
});

const entry = (index: number) => `where log_id = (select log_id from log_state) and idx = ${index}`;
it.each([
  ['a changed leaf', `update log_entries set leaf = 'x' ${entry(311)}`, 'entry_altered: entry 311'],
  [
    'a leaf that was changed together with its hash',
    `update log_entries set leaf = 'x', leaf_hash = sha256('\\x0078'::bytea) ${entry(311)}`,
    'entry_altered: entry 311',
  ],
  [
    'a leaf hash that was changed alone',
    `update log_entries set leaf_hash = sha256('') ${entry(311)}`,
    'leaf_hash_altered: entry 311',
  ],
  [
    'a changed leaf beyond the last full tile',
    `update log_entries set leaf = 'x' ${entry(599)}`,
    'entry_altered: entry 599',
  ],
  [
    'one there that was changed together with its hash',
    `update log_entries set leaf = 'x', leaf_hash = sha256('\\x0078'::bytea) ${entry(599)}`,
    'root_mismatch: checkpoint 600',
  ],
  [
    'a changed leaf hash there',
    `update log_entries set leaf_hash = sha256('') ${entry(599)}`,
    'tile_altered: tile/0/002.p/88',
  ],
  ['a missing entry', `delete from log_entries ${entry(128)}`, 'entry_missing: entry 128'],
  ['a missing last entry', `delete from log_entries ${entry(599)}`, 'entry_missing: entry 599'],
  [
    'a changed tile',
    `update log_tiles set hashes = set_byte(hashes, 0, 255 - get_byte(hashes, 0)) where level = 0 and idx = 1`,
    'tile_altered: tile/0/001',
  ],
  [
    'a tile with another root',
    `update log_tiles set root = sha256('') where level = 0 and idx = 1`,
    'tile_altered: tile/1/000.p/2',
  ],
  ['a missing tile', `delete from log_tiles where level = 0 and idx = 0`, 'tile_missing: tile/1/000.p/2'],
  ['another head', `update log_state set root = sha256('')`, 'root_mismatch: head'],
  [
    'entries that are shown without a checkpoint',
    `update log_state set published = 599`,
    'checkpoint_altered: checkpoint 1: it is the newest, but 599 entries are shown',
  ],
  [
    'a checkpoint that signs something else',
    `update log_checkpoints set note = replace(note, E'\\n600\\n', E'\\n601\\n') where size = 600`,
    'checkpoint_forged: checkpoint 600',
  ],
  [
    'a checkpoint with another root in its row',
    `update log_checkpoints set root = sha256('') where size = 600`,
    'checkpoint_altered: checkpoint 600',
  ],
])('finds %s, and again until it is mended', async (_what, sql, reason) => {
  await append(599);
  await round();
  await tamper(sql);
  const findings = async () => {
    for (;;) {
      const { said } = await round();
      const found = said.find((step) => step.kind === 'broken');
      if (found !== undefined) return found.reason;
    }
  };
  expect(await findings()).toContain(reason);
  const { said } = await round();
  expect(said).toHaveLength(1);
  expect(said[0]).toMatchObject({ kind: 'broken' });
});

it('finds a log that became shorter, though it is whole in itself', async () => {
  await append(9);
  const before = await db.pool.query<{ size: number; root: Buffer }>('select size, root from log_state');
  await append(10);
  expect((await round()).said).toEqual([{ kind: 'holds', size: 20 }]);
  const { root } = before.rows[0]!;
  await tamper(`update log_state set size = 10, published = 10, root = '\\x${root.toString('hex')}'`);
  await tamper('delete from log_checkpoints where size = 20');
  expect((await round()).said).toEqual([
    {
      kind: 'broken',
      size: 0,
      findings: [expect.objectContaining({ code: 'log_rewound' })],
      reason: 'log_rewound: checkpoint 10: the log holds 10 entries, but 20 were there before',
    },
  ]);
});
