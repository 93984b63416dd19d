import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { generateLogKey } from '../../attestation/keys/log-key.ts';
import { runCommand } from '../../embedded/command.ts';
import { auditedLog, DAMAGE, freshAuditor, type AuditedLog, type Auditor } from '../support/audited-log.ts';
import { goProgram } from '../support/go-program.ts';
import { describeNeeding } from '../support/needing.ts';

/** More than this log has tiles: a worker of fsck ends at the first bad tile, and who waits for it waits for ever. */
const WORKERS = 16;
const fsck = await goProgram('tessera', '/fsck');

describeNeeding("Tessera's fsck", fsck.missing, () => {
  let stand: AuditedLog;
  let auditor: Auditor;
  beforeAll(async () => {
    stand = await auditedLog();
  });
  afterAll(() => stand[Symbol.asyncDispose]());
  beforeEach(async () => {
    auditor = await freshAuditor(stand);
  });
  afterEach(async () => {
    await auditor[Symbol.asyncDispose]();
    await stand.restore();
  });

  /** What it says at the end, since its exit code is 0 whatever it found. */
  async function fscked(of: AuditedLog = stand): Promise<string> {
    const key = path.join(auditor.folder, 'log.vkey');
    await writeFile(key, of.vkey);
    const words = [`--storage_url=${of.proxy.url}/`, `--public_key=${key}`, '--ui=false', `--N=${WORKERS}`];
    const { output } = await runCommand(fsck.path, words, { timeoutMs: 30_000 });
    if (output.includes(`Successfully fsck'd log with size ${of.size} `)) return 'sound';
    const said = /fsck failed: (.*)/.exec(output)?.[1];
    if (said === undefined) throw new Error(`fsck says neither: ${output}`);
    return said;
  }

  test('finds a sound log sound, as our audit does', async () => {
    expect(await fscked()).toBe('sound');
    expect(await auditor.auditUrl()).toEqual({ code: 0, findings: [] });
    expect(await auditor.auditDb()).toEqual({ code: 0, findings: [] });
  });

  test.each([
    ['leaf', ['entry_altered entry 311'], 'tile/0/001: log has'],
    ['swap', ['entries_swapped entries 300 and 310'], 'tile/'],
    ['truncation', ['entry_truncated entry 17'], 'tile/0/000: log has'],
  ] as const)('agrees on a damaged store: %s', async (kind, findings, said) => {
    await stand.replica(DAMAGE[kind]);
    expect(await fscked()).toContain(said);
    expect(await auditor.auditDb()).toEqual({ code: 1, findings });
    // Over HTTP nobody can tell a swapped or cut leaf from another one, but where it stands.
    expect((await auditor.auditUrl()).code).toBe(1);
  });

  // Of an API that has not read it: what it read once it keeps, and goes on to give as it was.
  test('agrees on a damaged store: tile', async () => {
    await using unread = await auditedLog();
    await using its = await freshAuditor(unread);
    await unread.replica(DAMAGE.tile);
    expect(await fscked(unread)).toContain('tile/0/001: log has');
    expect(await its.auditDb()).toEqual({ code: 1, findings: ['tile_altered tile/0/001'] });
    expect((await its.auditUrl()).code).toBe(1);
  });

  test('agrees on a root that the entries do not lead to', async () => {
    const note = await stand.signed(stand.size, new Uint8Array(32).fill(7));
    stand.proxy.tamper = (asked) => (asked === '/checkpoint' ? { body: note } : undefined);
    expect(await fscked()).toContain('but checkpoint claims 0707');
    expect(await auditor.auditUrl()).toEqual({
      code: 1,
      findings: [`root_mismatch checkpoint ${stand.size}`],
    });
  });

  test('agrees on a checkpoint of another key', async () => {
    const { root } = await stand.head();
    const note = await stand.signed(stand.size, root, generateLogKey());
    stand.proxy.tamper = (asked) => (asked === '/checkpoint' ? { body: note } : undefined);
    expect(await fscked()).toContain('failed to fetch and verify checkpoint');
    expect(await auditor.auditUrl()).toEqual({ code: 1, findings: ['checkpoint_unsigned checkpoint'] });
  });
});
