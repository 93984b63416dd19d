import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createPool, type Pool } from '../../store/pool.ts';
import { flipped, freshAuditor, type Auditor } from '../../test/support/audited-log.ts';
import { followedLog, type FollowedLog } from '../../test/support/followed-log.ts';
import { tamperingProxy, type TamperingProxy } from '../../test/support/tampering-proxy.ts';

let stand: FollowedLog;
let owner: Pool;
let proxy: TamperingProxy;
let auditor: Auditor;

beforeAll(async () => {
  stand = await followedLog();
  owner = createPool({ databaseUrl: stand.api.db.url, name: 'test tamper', role: null });
  const url = await stand.api.app.listen({ port: 0, host: '127.0.0.1' });
  proxy = await tamperingProxy(() => url);
});
afterAll(async () => {
  await owner.end();
  for (const part of [proxy, stand]) await part[Symbol.asyncDispose]();
});
beforeEach(async () => {
  auditor = await freshAuditor({ api: stand.api, proxy, vkey: stand.vkeys[1] });
});
afterEach(() => auditor[Symbol.asyncDispose]());

const closedUrl = () => `${proxy.url}/logs/${stand.logs[0].head.logId}`;

async function auditDb() {
  const { code, out } = await auditor.beacon(['audit', '--db', '--json'], {
    DATABASE_URL: stand.api.db.url,
  });
  return { code, ...(JSON.parse(out) as { ok: boolean; findings: unknown[]; closed_logs: unknown[] }) };
}

test('a closed log is audited over HTTP where its id leads to', async () => {
  const words = [closedUrl(), '--vkey', stand.vkeys[0]];
  expect(await auditor.found(words)).toEqual({ code: 0, findings: [] });
  proxy.tamper = (path) => (path.includes('/tile/entries/') ? { body: 'no bundle' } : undefined);
  expect((await auditor.found(words)).code).toBe(1);
});

test('a closed log is monitored like any other, and its key is pinned at first use', async () => {
  const words = ['monitor', closedUrl(), '--once'];
  const first = await auditor.beacon(words);
  expect([first.code, first.err]).toEqual([0, expect.stringContaining(stand.vkeys[0])]);
  expect((await auditor.beacon(words)).out).toContain('follows 5');
});

test('the database is audited with the logs that were closed; what is wrong in one is said of it', async () => {
  const [closed] = stand.logs;
  expect(await auditDb()).toMatchObject({
    code: 0,
    ok: true,
    findings: [],
    closed_logs: [{ ok: true, origin: closed.head.origin, tree_size: 5, findings: [] }],
  });
  const flip = (index: number) =>
    owner.query(`update log_entries set leaf = ${flipped('leaf')} where log_id = $1 and idx = $2`, [
      closed.head.logId,
      index,
    ]);
  await flip(2);
  expect(await auditDb()).toMatchObject({
    code: 1,
    ok: false,
    findings: [],
    closed_logs: [{ ok: false, findings: [{ code: 'entry_altered', where: 'entry 2' }] }],
  });
  const { out } = await auditor.beacon(['audit', '--db'], { DATABASE_URL: stand.api.db.url });
  expect(out).toContain(`NOT CLEAN ${closed.head.origin}`);
  await flip(2);
  expect((await auditDb()).code).toBe(0);
});
