import { describe, expect, test } from 'vitest';
import { withAuditedLog } from '../../test/support/audited-file.ts';
import { DAMAGE, flipped, type AuditedLog, type Auditor } from '../../test/support/audited-log.ts';

let stand: AuditedLog;
let auditor: Auditor;
withAuditedLog((log, by) => {
  [stand, auditor] = [log, by];
});

const at = (index: number) => `where idx = ${index}`;
describe('damage in the store is named:', () => {
  const blockOf = (kind: string, more = '') =>
    `update blocks set bytes = ${flipped('bytes')} where digest = (select digest from cids where kind = '${kind}' ${more} limit 1)`;
  const kinds: [string, () => string, () => string[]][] = [
    ['a flipped leaf', () => DAMAGE.leaf, () => ['entry_altered entry 311']],
    [
      'a flipped leaf in the last, partial tile',
      () => `update log_entries set leaf = ${flipped('leaf')} ${at(600)}`,
      () => ['entry_altered entry 600'],
    ],
    ['a flipped tile', () => DAMAGE.tile, () => ['tile_altered tile/0/001']],
    ['swapped entries', () => DAMAGE.swap, () => ['entries_swapped entries 300 and 310']],
    ['a truncated entry', () => DAMAGE.truncation, () => ['entry_truncated entry 17']],
    [
      'an altered receipt',
      () => blockOf('receipt', `and cid = '${stand.execution.cid}'`),
      () => [`receipt_altered execution ${stand.execution.id}`],
    ],
    [
      'an altered block',
      () => blockOf('manifest'),
      () => [expect.stringMatching(/^block_altered block bafk/) as string],
    ],
    [
      'an altered envelope',
      () => blockOf('dsse', `and execution_id = '${stand.execution.id}'`),
      () => [
        `envelope_altered entry ${stand.execution.index}`,
        expect.stringMatching(/^block_altered block/) as string,
      ],
    ],
    [
      'a wrong root in the head',
      () => `update log_state set root = sha256('')`,
      () => ['root_mismatch head'],
    ],
    [
      'a wrong root in an old checkpoint',
      () => `update log_checkpoints set root = sha256('') where size = ${stand.older.size}`,
      () => [`checkpoint_altered checkpoint ${stand.older.size}`],
    ],
    ['a missing entry', () => `delete from log_entries ${at(44)}`, () => ['entry_missing entry 44']],
    [
      'a missing tile',
      () => `delete from log_tiles where level = 0 and idx = 0`,
      () => ['tile_missing tile/0/000', 'tile_missing tile/1/000.p/2'],
    ],
  ];
  test.each(kinds)('%s', async (_kind, damage, findings) => {
    try {
      expect((await stand.owner.query(damage())).rowCount).toBeGreaterThan(0);
      expect(await auditor.auditDb()).toEqual({ code: 1, findings: findings() });
    } finally {
      await stand.restore();
    }
    expect(await auditor.auditDb()).toEqual({ code: 0, findings: [] });
  });

  test('a document that is gone, unless the log says that it was erased', async () => {
    const gone = `entry ${stand.execution.index}`;
    const envelope = `(select dsse_digest from receipts where execution_id = '${stand.execution.id}')`;
    try {
      await stand.replica(`delete from blocks where digest = ${envelope}`);
      expect(await auditor.auditDb()).toEqual({ code: 1, findings: [`receipt_missing ${gone}`] });
      await stand.replica(
        `insert into log_pending (log_id, subject_kind, subject_id, version, leaf, key_id, refused)
         values ('${stand.log.head.logId}', 'erasure', '${stand.execution.id}', 1, '{}', 'none', 'a test')`,
      );
      expect(await auditor.auditDb()).toEqual({ code: 0, findings: [] });
    } finally {
      await stand.replica(
        `delete from log_pending where subject_kind = 'erasure'; delete from blocks; insert into blocks table kept_blocks`,
      );
    }
  });

  test('an execution with another outcome than was signed', async () => {
    const stored = (state: string) =>
      stand.replica(`update executions set state = '${state}' where id = '${stand.execution.id}'`);
    await stored('failed');
    expect(await auditor.auditDb()).toEqual({
      code: 1,
      findings: [`execution_altered execution ${stand.execution.id}`],
    });
    await stored('completed');
  });
});
