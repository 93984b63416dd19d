import { execFile } from 'node:child_process';
import { access, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseExecutionReceipt } from '../domain/receipt/execution-receipt.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const root = path.join(import.meta.dirname, '..');
const BEACON = path.join(root, 'bin', 'beacon.js');
/** Builds dist/ and, on a machine that has none, the Temporal server; the demo itself takes seconds. */
const TIMEOUT_MS = 900_000;

function beacon(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    const env = { ...process.env, PORT_STRATEGY: 'ephemeral', NO_COLOR: '1' };
    execFile(
      process.execPath,
      [BEACON, ...argv],
      { cwd: root, env, timeout: TIMEOUT_MS },
      (error, out, err) => {
        resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err });
      },
    );
  });
}

function processesOf(folder: string): Promise<string> {
  return new Promise((resolve) => {
    execFile('ps', ['-ewwo', 'pid=,args='], (_error, out) => {
      resolve(
        out
          .split('\n')
          .filter((line) => line.includes(folder))
          .join('\n'),
      );
    });
  });
}

/** A state folder; as root its database lies elsewhere (`location`) and goes with it. */
async function stateFolder(): Promise<{ path: string } & AsyncDisposable> {
  const folder = await temporaryFolder();
  return {
    path: folder.path,
    async [Symbol.asyncDispose]() {
      const location = await readFile(path.join(folder.path, 'demo', 'location'), 'utf8').catch(() => '');
      if (location.trim() !== '') await rm(location.trim(), { recursive: true, force: true });
      await folder[Symbol.asyncDispose]();
    },
  };
}

interface DemoDocument {
  job_id: string;
  status: string;
  bundle: string;
  api: string;
  feed: string;
  temporal_ui: string;
  verdict: { ok: boolean; treeSize: number };
  executions: Record<string, unknown>[];
}

describe('the demo', { timeout: TIMEOUT_MS }, () => {
  test('runs a job for three regions, verifies it offline, says so, and leaves nothing running', async () => {
    await using folder = await stateFolder();
    const { code, out, err } = await beacon('demo', '--state', folder.path);
    expect([code, err, out]).toEqual([0, expect.anything(), expect.stringContaining('VERIFIED OFFLINE')]);
    const rows = out.split('\n').filter((line) => line.endsWith(' verified'));
    expect(rows).toHaveLength(6);
    for (const region of ['US', 'EU', 'APAC'])
      expect(rows.filter((row) => row.startsWith(`${region} `))).toHaveLength(2);
    for (const row of rows)
      expect(row).toMatch(/ (bubblewrap|container|process) +sha256:\S+ +\d.* bafkrei\w+ +\d+ +verified$/);
    expect(out).toMatch(/API +http:\/\/127\.0\.0\.1:\d+\n +feed +ws:.*\n +Temporal UI +http:/);
    if (rows.some((row) => row.includes(' process '))) expect(out).toContain('NOT ISOLATED');
    expect(await processesOf(folder.path)).toBe('');
    await expect(access(path.join(folder.path, 'demo', 'stack.json'))).rejects.toThrow('ENOENT');
  });

  test('--keep leaves the stack up for the other commands; its file fails when a byte changes', async () => {
    await using folder = await stateFolder();
    const state = ['--state', folder.path];
    const kept = await beacon('demo', '--keep', '--json', ...state);
    try {
      expect([kept.code, kept.err]).toEqual([0, expect.anything()]);
      const demo = JSON.parse(kept.out) as DemoDocument;
      expect(demo).toMatchObject({ status: 'completed', verdict: { ok: true } });
      expect(demo.executions).toHaveLength(6);
      const inner = ['--state', path.join(folder.path, 'demo')];
      expect((await beacon('status', ...inner)).code).toBe(0);
      expect((await beacon('verify', demo.job_id, ...inner)).code).toBe(0);

      const bundle = path.resolve(root, demo.bundle);
      const trust = path.join(path.dirname(bundle), 'trust.json');
      expect((await beacon('verify', bundle, '--trust', trust, '--api', 'http://127.0.0.1:1')).code).toBe(0);
      const text = await readFile(bundle, 'utf8');
      await writeFile(bundle, text.replace('who are you', 'who am I'));
      const altered = await beacon('verify', bundle, '--trust', trust);
      expect([altered.code, altered.out]).toEqual([1, expect.stringContaining('breaks at receipt')]);
    } finally {
      await beacon('down', '--state', path.join(folder.path, 'demo'));
    }
    expect(await processesOf(folder.path)).toBe('');
  });

  test('on the emulated Golem Network: 18 receipts with provider, price and what the region rests on, all verified', async () => {
    await using folder = await stateFolder();
    const bundle = path.join(folder.path, 'golem.json');
    const state = ['--state', folder.path];
    const { code, out, err } = await beacon(
      'demo',
      '--backend',
      'golem',
      '--json',
      '--out',
      bundle,
      ...state,
    );
    expect([code, err]).toEqual([0, expect.anything()]);
    expect(JSON.parse(out)).toMatchObject({ status: 'completed', verdict: { ok: true } });
    const { executions } = JSON.parse(await readFile(bundle, 'utf8')) as {
      executions: { receipt: string }[];
    };
    const receipts = executions.map(({ receipt }) => parseExecutionReceipt(Buffer.from(receipt)));
    expect(receipts).toHaveLength(18);
    for (const receipt of receipts) {
      const region = receipt.region?.requested ?? null;
      expect(receipt).toMatchObject({
        outcome: 'completed',
        backend: 'golem',
        provider: expect.stringMatching(/^0x[0-9a-f]{40}$/),
        image_executed: expect.stringMatching(/^sha3-224:/),
        region: {
          requested: region,
          claimed: region,
          observed: null,
          verified: false,
          method: 'claim-beacon-region',
        },
        cost: {
          platform: 'erc20-hoodi-tglm',
          state: 'accepted',
          accepted: expect.stringMatching(/^0\.0\d+$/),
        },
      });
    }
    const places = receipts.map((one) => `${one.region?.requested} ${one.model} ${one.question?.index}`);
    expect(new Set(places).size).toBe(18);
    expect(await processesOf(folder.path)).toBe('');
  });

  test('a job that is refused ends it with the reason, where the logs are, and no stack', async () => {
    await using folder = await stateFolder();
    const { code, err } = await beacon('demo', '--state', folder.path, '--spec', 'package.json');
    expect(code).toBe(4);
    expect(err).toMatch(
      /\nbeacon: refused: .*validation_error.* → logs: \S+\n$|^beacon: refused: .* → logs: \S+\n$/,
    );
    expect(await processesOf(folder.path)).toBe('');
  });
});
