import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { withAuditedLog } from '../../test/support/audited-file.ts';
import type { AuditedLog, Auditor } from '../../test/support/audited-log.ts';

let stand: AuditedLog;
let auditor: Auditor;
withAuditedLog((log, by) => {
  [stand, auditor] = [log, by];
});

describe('a clean log', () => {
  test('is clean in its tables and over HTTP, and says so to people', async () => {
    expect(await auditor.auditDb()).toEqual({ code: 0, findings: [] });
    expect(await auditor.auditUrl()).toEqual({ code: 0, findings: [] });
    const { code, out } = await auditor.beacon(['audit', stand.proxy.url, '--vkey', stand.vkey]);
    expect(code).toBe(0);
    expect(out).toContain(`CLEAN ${stand.log.head.origin}, ${stand.size} entries`);
  });

  test('is looked at from where an audit was cut off, and from the last one when asked', async () => {
    stand.proxy.tamper = (asked) => (asked.startsWith('/tile/entries/002') ? { status: 503 } : undefined);
    const cut = await auditor.beacon(['audit', stand.proxy.url, '--vkey', stand.vkey]);
    expect([cut.code, cut.err]).toEqual([3, expect.stringContaining('503')]);
    stand.proxy.tamper = () => undefined;
    stand.proxy.asked = [];
    const { out } = await auditor.beacon(['audit', stand.proxy.url, '--vkey', stand.vkey, '--json']);
    expect(JSON.parse(out)).toMatchObject({ ok: true, audited_from: 512, tree_size: stand.size });
    expect(stand.proxy.asked.filter((asked) => asked.startsWith('/tile/entries'))).toEqual([
      `/tile/entries/002.p/${stand.size - 512}`,
    ]);
    const whole = await auditor.beacon(['audit', stand.proxy.url, '--vkey', stand.vkey, '--json']);
    expect(JSON.parse(whole.out)).toMatchObject({ ok: true, audited_from: 0 });
    const since = await auditor.beacon([
      'audit',
      stand.proxy.url,
      '--vkey',
      stand.vkey,
      '--since-last',
      '--json',
    ]);
    expect(JSON.parse(since.out)).toMatchObject({ ok: true, audited_from: 512 });
  });

  test('is trusted at first use like a service, and another key than the pinned one is found', async () => {
    const first = await auditor.beacon(['audit', stand.upstream]);
    expect([first.code, first.err]).toEqual([0, expect.stringContaining('pinned')]);
    expect((await auditor.found([stand.upstream])).code).toBe(0);
  });
});
describe('a hostile log', () => {
  const big = (bytes: number) => new Uint8Array(bytes);
  test.each<
    [string, (asked: string) => { body?: Uint8Array; headers?: Record<string, string> } | undefined, string]
  >([
    [
      'a checkpoint that does not end',
      (asked) => (asked === '/checkpoint' ? { body: big(70_000) } : undefined),
      'answer_malformed checkpoint',
    ],
    [
      'no text at all',
      (asked) => (asked === '/checkpoint' ? { body: big(10).fill(255) } : undefined),
      'checkpoint_malformed checkpoint',
    ],
    [
      'a tile that is too large',
      (asked) => (asked === '/tile/0/001' ? { body: big(8_193) } : undefined),
      'answer_malformed tile/0/001',
    ],
    [
      'a tile that is too small',
      (asked) => (asked === '/tile/0/001' ? { body: big(31) } : undefined),
      'answer_malformed tile/0/001',
    ],
    [
      'a bomb of entries',
      (asked) =>
        asked === '/tile/entries/000'
          ? { body: gzipSync(big(40_000_000)), headers: { 'content-encoding': 'gzip' } }
          : undefined,
      'answer_malformed tile/entries/000',
    ],
    [
      'a cut bundle',
      (asked) => (asked === '/tile/entries/000' ? { body: big(7).fill(1) } : undefined),
      'answer_malformed tile/entries/000',
    ],
  ])('is told for %s', async (_what, lie, finding) => {
    stand.proxy.tamper = lie;
    const { code, findings } = await auditor.auditUrl();
    expect(code).toBe(1);
    expect(findings[0]).toBe(finding);
  });

  test('is not followed elsewhere', async () => {
    stand.proxy.tamper = (asked) =>
      asked.startsWith('/tile/')
        ? { status: 302, headers: { location: `${stand.upstream}${asked}` } }
        : undefined;
    const { code, err } = await auditor.beacon(['audit', stand.proxy.url, '--vkey', stand.vkey]);
    expect([code, err]).toEqual([3, expect.stringContaining('redirects')]);
  });
});
