import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { goProgram } from '../../test/support/go-program.ts';
import { startKubo } from '../../test/support/kubo.ts';
import { describeNeeding } from '../../test/support/needing.ts';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.ts';
import { recordedIo } from '../../test/support/recorded-io.ts';
import { main } from '../command-line.ts';

const program = await goProgram('kubo');
let db: TestDatabase;
beforeEach(async () => {
  db = await testDatabase();
});
afterEach(() => db[Symbol.asyncDispose]());

async function check(
  env: Record<string, string> = {},
): Promise<{ code: number; json: Answer; errors: string }> {
  const io = recordedIo({ env: { DATABASE_URL: db.url, ...env } });
  const code = await main(['ipfs', 'check', '--json'], io);
  return { code, json: JSON.parse(io.out()) as Answer, errors: io.err() };
}
interface Answer {
  ok: boolean;
  steps: { step: string; ok: boolean; note: string }[];
}
const names = ({ steps }: Answer) => steps.map(({ step, ok }) => `${ok ? '' : 'not '}${step}`);

test('without a Kubo the store is checked, twice with nothing added, and that is said', async () => {
  const first = await check();
  expect(first.code).toBe(0);
  expect(names(first.json)).toEqual(['store', 'read back', 'hash', 'export']);
  expect(first.errors).toContain('IPFS_NODE_URL');
  const count = async () => (await db.pool.query('select from blocks')).rowCount;
  const before = await count();
  await check();
  expect(await count()).toBe(before);
});

test('the step that fails is named', async () => {
  expect(names((await check({ IPFS_NODE_URL: 'http://127.0.0.1:9' })).json).at(-1)).toBe('not reach Kubo');
  const owner = new pg.Client({ connectionString: db.url });
  await owner.connect();
  await owner.query(`update beacon.blocks set bytes = '\\x00' where length(bytes) < 60`);
  await owner.end();
  const { code, json } = await check();
  expect([code, json.ok, names(json).at(-1)]).toEqual([1, false, 'not read back']);
});

describeNeeding('with a real Kubo', program.missing, () => {
  test('the tree is imported there, has the same root, and is unpinned again', async () => {
    await using kubo = await startKubo(program.path);
    const pins = () => kubo.rpc('pin/ls?type=recursive');
    const before = await pins();
    const { code, json } = await check({ IPFS_NODE_URL: kubo.url });
    expect(names(json)).toEqual(['store', 'read back', 'hash', 'export', 'reach Kubo', 'import', 'tidy up']);
    expect(code).toBe(0);
    expect(await pins()).toBe(before);
  }, 60_000);
});
