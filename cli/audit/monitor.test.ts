import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { nodeSha256 } from '../../attestation/keys/node-verifiers.ts';
import { treeHash } from '../../domain/log/hash.ts';
import { withAuditedLog } from '../../test/support/audited-file.ts';
import type { AuditedLog, Auditor } from '../../test/support/audited-log.ts';
import { eventually } from '../../test/support/eventually.ts';
import { recordedIo } from '../../test/support/recorded-io.ts';
import { main } from '../command-line.ts';

let stand: AuditedLog;
let auditor: Auditor;
withAuditedLog((log, by) => {
  [stand, auditor] = [log, by];
});

const hash = treeHash(nodeSha256);

describe('beacon monitor', () => {
  test('keeps the last head, demands that the next one continues it, and ends at a fork', async () => {
    stand.proxy.tamper = (asked) => (asked === '/checkpoint' ? { body: stand.older.note } : undefined);
    const io = recordedIo({ cwd: auditor.folder, env: { BEACON_STATE: 'state' } });
    const running = main(['monitor', stand.proxy.url, '--vkey', stand.vkey, '--every', '1'], io);
    await eventually(() => (io.out().includes(`${stand.older.size} entries`) ? true : undefined));
    stand.proxy.tamper = () => undefined;
    await eventually(() => (io.out().includes(`${stand.size} entries`) ? true : undefined));
    expect(io.out()).toContain(`follows ${stand.older.size}`);
    const note = await stand.signed(stand.size, hash.leaf(new Uint8Array()));
    stand.proxy.tamper = (asked) => (asked === '/checkpoint' ? { body: note } : undefined);
    expect(await running).toBe(1);
    expect(io.out()).toContain('log_forked');
    const [name] = await readdir(path.join(auditor.folder, 'state', 'watched'));
    const kept = JSON.parse(await readFile(path.join(auditor.folder, 'state', 'watched', name!), 'utf8'));
    expect(kept.head).toContain(`\n${stand.size}\n`);
  });

  test('waits for a log that does not answer, and ends quietly at Ctrl-C', async () => {
    stand.proxy.tamper = () => ({ status: 500 });
    const io = recordedIo({ cwd: auditor.folder, env: { BEACON_STATE: 'state' } });
    const running = main(['monitor', stand.proxy.url, '--vkey', stand.vkey, '--every', '1'], io);
    await eventually(() => (io.err().includes('trying again') ? true : undefined));
    io.interrupt();
    expect(await running).toBe(0);
    expect((await auditor.beacon(['monitor', stand.proxy.url, '--vkey', stand.vkey, '--once'])).code).toBe(3);
  });
});
