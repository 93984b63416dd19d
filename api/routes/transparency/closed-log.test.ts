import { afterAll, beforeAll, expect, test } from 'vitest';
import { nodeVerifiers } from '../../../attestation/keys/node-verifiers.ts';
import { specVerifier } from '../../../domain/receipt/spec-facts.ts';
import { verifyBundle } from '../../../domain/receipt/verify.ts';
import { followedLog, type FollowedLog } from '../../../test/support/followed-log.ts';

const tools = { verifiers: nodeVerifiers, verifySpec: specVerifier(nodeVerifiers) };
let stand: FollowedLog;

beforeAll(async () => {
  stand = await followedLog();
});
afterAll(() => stand[Symbol.asyncDispose]());

test('the root and the checkpoint are those of the log that follows', async () => {
  const [old, now] = stand.logs;
  const { json } = await stand.api.get('/api/v1/transparency/root');
  expect(json).toMatchObject({ log_id: now.head.logId, vkey: stand.vkeys[1] });
  expect(now.head.origin).not.toBe(old.head.origin);
  expect((await stand.api.get('/checkpoint')).text.split('\n')[0]).toBe(now.head.origin);
});

test('bundles of both logs hold, each under its own key, and the newer one says what it follows', async () => {
  for (const [i, job] of stand.jobs.entries()) {
    const [execution] = await stand.executionsOf(job);
    for (const url of [`/api/v1/jobs/${job}/bundle`, `/api/v1/executions/${execution!.id}/bundle`]) {
      const bundle: unknown = JSON.parse((await stand.api.get(url)).text);
      const verdict = verifyBundle(bundle, { vkeys: [stand.vkeys[i]!] }, tools);
      expect([url, verdict.ok]).toEqual([url, true]);
      expect(JSON.stringify(verdict).includes('this log follows')).toBe(i === 1);
      expect(verifyBundle(bundle, { vkeys: [stand.vkeys[1 - i]!] }, tools).ok).toBe(false);
    }
  }
});

test('a proof is found in the log in which its entry stands', async () => {
  for (const [i, job] of stand.jobs.entries()) {
    const [execution] = await stand.executionsOf(job);
    for (const subject of [`execution_id=${execution!.id}`, `ipfs_cid=${execution!.ipfs_cid}`]) {
      const { status, json } = await stand.api.get(`/api/v1/transparency/proof?${subject}`);
      expect([subject, status]).toEqual([subject, 200]);
      expect((json.checkpoint as string).split('\n')[0]).toBe(stand.logs[i]!.head.origin);
    }
  }
});

test('every log stays where its id leads to, closed or not, and the list of them says which', async () => {
  const { json: described } = await stand.api.get('/.well-known/beacon-log.json');
  expect(described.logs).toEqual(
    [stand.logs[1], stand.logs[0]].map(({ head }, i) => ({
      log_id: head.logId,
      origin: head.origin,
      closed_at: i === 0 ? null : (expect.any(String) as string),
      path: `/logs/${head.logId}`,
    })),
  );
  for (const [i, { head }] of stand.logs.entries()) {
    const there = `/logs/${head.logId}`;
    const { text, headers } = await stand.api.get(`${there}/checkpoint`);
    expect(headers['access-control-allow-origin']).toBe('*');
    const [origin, size] = text.split('\n');
    expect(origin).toBe(head.origin);
    expect((await stand.api.get(`${there}/tile/0/000.p/${size!}`)).raw).toHaveLength(32 * Number(size));
    const ask = (path: string) => stand.api.get(`/api/v1/transparency/${path}`);
    const of = `log_id=${head.logId}`;
    expect((await ask(`root?${of}`)).json).toMatchObject({ vkey: stand.vkeys[i], tree_size: Number(size) });
    expect((await ask(`keys?${of}`)).json).toMatchObject({ log_id: head.logId, origin });
    expect((await ask(`checkpoints?${of}&limit=1`)).json.checkpoints[0].tree_size).toBe(Number(size));
    expect((await ask(`consistency?${of}&from=1&to=${size!}`)).json).toMatchObject({ log_id: head.logId });
    const [first] = await stand.executionsOf(stand.jobs[i]!);
    const { entries } = (await ask(`entries?${of}&execution_id=${first!.id}`)).json;
    expect(entries).toHaveLength(1);
    const { json: proof } = await ask(`proof?${of}&index=${entries[0].leaf_index as number}`);
    expect(proof).toMatchObject({ log_id: head.logId, execution_id: first!.id });
    expect((proof.checkpoint as string).split('\n')[0]).toBe(origin);
    const own = await stand.api.get(`/.well-known/beacon-log.json?${of}`);
    expect(own.json).toMatchObject({ origin, vkeys: [stand.vkeys[i]] });
    expect((await stand.api.get(own.json.paths.checkpoint as string)).text).toBe(text);
    expect((await stand.api.get(own.json.paths.keys as string)).json.origin).toBe(origin);
  }
});

test('a log of no such id is not found', async () => {
  for (const url of [
    '/logs/0000000000000000/checkpoint',
    '/logs/0000000000000000/tile/0/000',
    '/api/v1/transparency/root?log_id=0000000000000000',
    '/api/v1/transparency/proof?log_id=0000000000000000&index=0',
  ])
    expect([url, (await stand.api.get(url)).json]).toEqual([
      url,
      expect.objectContaining({
        error_code: 'log_not_found',
        error: expect.stringContaining('no log of this id'),
      }),
    ]);
});
