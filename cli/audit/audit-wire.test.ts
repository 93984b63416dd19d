import { describe, expect, test } from 'vitest';
import { generateLogKey } from '../../attestation/keys/log-key.ts';
import { nodeSha256 } from '../../attestation/keys/node-verifiers.ts';
import { treeHash } from '../../domain/log/hash.ts';
import { decodeEntryBundle, encodeEntryBundle, parseTilePath } from '../../domain/log/tile.ts';
import { withAuditedLog } from '../../test/support/audited-file.ts';
import type { AuditedLog, Auditor } from '../../test/support/audited-log.ts';
import type { TamperingProxy } from '../../test/support/tampering-proxy.ts';

let stand: AuditedLog;
let auditor: Auditor;
withAuditedLog((log, by) => {
  [stand, auditor] = [log, by];
});

const hash = treeHash(nodeSha256);

/** Every leaf of the stand.log, as it serves them. */
async function leaves(): Promise<Uint8Array[]> {
  const found: Uint8Array[] = [];
  while (found.length < stand.size) {
    const width = Math.min(256, stand.size - found.length);
    const name = `00${found.length / 256}${width === 256 ? '' : `.p/${width}`}`;
    found.push(...decodeEntryBundle((await stand.api.get(`/tile/entries/${name}`)).raw));
  }
  return found;
}

function rootOf(hashes: readonly Uint8Array[]): Uint8Array {
  if (hashes.length <= 1) return hashes[0] ?? hash.empty();
  const split = 2 ** Math.ceil(Math.log2(hashes.length) - 1);
  return hash.node(rootOf(hashes.slice(0, split)), rootOf(hashes.slice(split)));
}

/** A whole log of other leaves, signed by the right key: what a cheating operator would show to some. */
async function forkedLog(entries: readonly Uint8Array[]): Promise<TamperingProxy['tamper']> {
  const hashes = entries.map((entry) => hash.leaf(entry));
  const note = await stand.signed(entries.length, rootOf(hashes));
  return (asked) => {
    if (asked === '/checkpoint') return { body: note };
    const tile = parseTilePath(asked.slice(1));
    if (tile === undefined) return undefined;
    const start = tile.index * 256;
    if (tile.level === 'entries')
      return { body: encodeEntryBundle(entries.slice(start, start + tile.width)) };
    const span = 256 ** tile.level;
    const nodes = Array.from({ length: tile.width }, (_, i) =>
      rootOf(hashes.slice((start + i) * span, (start + i + 1) * span)),
    );
    return { body: Buffer.concat(nodes) };
  };
}

describe('damage on the wire is named:', () => {
  test('a missing partial tile', async () => {
    stand.proxy.tamper = (asked) => (asked.startsWith('/tile/0/002') ? { status: 404 } : undefined);
    expect(await auditor.auditUrl()).toEqual({
      code: 1,
      findings: [`tile_missing tile/0/002.p/${stand.size - 512}`],
    });
  });

  test('missing entries', async () => {
    stand.proxy.tamper = (asked) => (asked.startsWith('/tile/entries/001') ? { status: 404 } : undefined);
    expect(await auditor.auditUrl()).toEqual({ code: 1, findings: ['entry_missing tile/entries/001'] });
  });

  test('an index that is served with the entry of another', async () => {
    stand.proxy.tamper = async (asked) => {
      if (asked !== '/tile/entries/001') return undefined;
      const entries = decodeEntryBundle((await stand.api.get(asked)).raw);
      entries[11] = entries[10]!;
      return { body: encodeEntryBundle(entries) };
    };
    expect(await auditor.auditUrl()).toEqual({ code: 1, findings: ['entry_duplicate entry 267'] });
  });

  test('a checkpoint of the wrong key', async () => {
    const { root } = await stand.head();
    const note = await stand.signed(stand.size, root, generateLogKey());
    stand.proxy.tamper = (asked) => (asked === '/checkpoint' ? { body: note } : undefined);
    expect(await auditor.auditUrl()).toEqual({ code: 1, findings: ['checkpoint_unsigned checkpoint'] });
  });

  test('a checkpoint that was rewound behind the one that is remembered', async () => {
    expect((await auditor.auditUrl()).code).toBe(0);
    stand.proxy.tamper = (asked) => (asked === '/checkpoint' ? { body: stand.older.note } : undefined);
    expect(await auditor.auditUrl()).toEqual({ code: 1, findings: ['log_rewound checkpoint'] });
    const watched = await auditor.beacon(['monitor', stand.proxy.url, '--vkey', stand.vkey, '--once']);
    expect([watched.code, watched.out]).toEqual([1, expect.stringContaining('log_rewound')]);
  });

  test('a forked root of the remembered size', async () => {
    expect((await auditor.auditUrl()).code).toBe(0);
    const note = await stand.signed(stand.size, hash.leaf(new Uint8Array()));
    stand.proxy.tamper = (asked) => (asked === '/checkpoint' ? { body: note } : undefined);
    expect(await auditor.auditUrl()).toEqual({ code: 1, findings: ['log_forked checkpoint'] });
  });

  test('a forked log that is larger than the remembered one and whole in itself', async () => {
    expect((await auditor.auditUrl()).code).toBe(0);
    const entries = await leaves();
    entries[3] = Buffer.from('{"another":"receipt"}');
    entries.push(Buffer.from('{"one":"more"}'));
    stand.proxy.tamper = await forkedLog(entries);
    expect(await auditor.auditUrl()).toEqual({ code: 1, findings: [`log_forked checkpoint ${stand.size}`] });
    const since = await auditor.found([stand.proxy.url, '--vkey', stand.vkey, '--since-last']);
    expect(since.code).toBe(1);
    const watched = await auditor.beacon(['monitor', stand.proxy.url, '--vkey', stand.vkey, '--once']);
    expect([watched.code, watched.out]).toEqual([1, expect.stringContaining('log_forked')]);
    // What was found wrong is not remembered: the true stand.log still holds.
    stand.proxy.tamper = () => undefined;
    expect((await auditor.auditUrl()).code).toBe(0);
  });
});
