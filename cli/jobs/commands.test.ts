import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OPERATOR_TOKEN, jobSpec, testApi, type TestApi } from '../../test/support/api.ts';
import { recordedIo } from '../../test/support/recorded-io.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { main } from '../command-line.ts';

/** The commands against the real API on a real database. No worker runs, so jobs wait. */
let api: TestApi;
let url: string;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;

beforeAll(async () => {
  api = await testApi();
  url = await api.app.listen({ host: '127.0.0.1', port: 0 });
  folder = await temporaryFolder();
  expect((await beacon(['keygen', '--out', 'key.pem'])).code).toBe(0);
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

async function beacon(argv: string[], env: Record<string, string> = {}, stdin = '') {
  const io = recordedIo({ cwd: folder.path, env: { BEACON_API: url, BEACON_KEY: 'key.pem', ...env }, stdin });
  const code = await main(argv, io);
  return { code, out: io.out(), err: io.err() };
}

let made = 0;
async function signedFile(over: Record<string, unknown> = {}): Promise<{ id: string; file: string }> {
  made += 1;
  const id = `cli-${made}`;
  await writeFile(path.join(folder.path, `${id}.json`), JSON.stringify(jobSpec({ id, ...over })));
  const file = `${id}.signed.json`;
  const { code, err } = await beacon(['sign', `${id}.json`, file]);
  expect([code, err]).toEqual([0, expect.stringContaining('signed cli-')]);
  return { id, file };
}

const stamp = () => ({ timestamp: new Date().toISOString(), nonce: `cli-nonce-${made}` });

describe('submit', () => {
  test('says the id, alone with --id-only, and knows a repeated submit', async () => {
    const { id, file } = await signedFile();
    expect(await beacon(['submit', file, '--id-only'])).toMatchObject({ code: 0, out: `${id}\n`, err: '' });
    expect((await beacon(['submit', file])).out).toContain('was submitted before');
    expect(JSON.parse((await beacon(['submit', file, '--id-only', '--json'])).out)).toEqual({ id });
    const repeated = JSON.parse((await beacon(['submit', file, '--json'])).out) as object;
    expect(repeated).toEqual({ id, idempotent: true });
  });

  test('takes standard input', async () => {
    const spec = JSON.stringify(jobSpec({ id: 'cli-stdin' }));
    const signed = await beacon(['sign', '-', '--throwaway'], {}, spec);
    expect((await beacon(['submit', '-', '--id-only'], {}, signed.out)).out).toBe('cli-stdin\n');
  });

  test('a refusal is code 4, with the service’s code and the way out', async () => {
    const { id } = await signedFile();
    await beacon(['submit', `${id}.signed.json`]);
    await beacon(['sign', `${id}.json`, 'other.json', '--throwaway']);
    const taken = await beacon(['submit', 'other.json']);
    expect(taken.code).toBe(4);
    expect(taken.err).toContain('id_taken');

    const replay = await beacon(['sign', `${id}.signed.json`, 'again.json', '--id', 'another']);
    expect(replay.code).toBe(0);
    const nonce = await beacon(['submit', 'again.json']);
    expect(nonce.code).toBe(4);
    expect(nonce.err).toContain('--fresh');
    await beacon(['sign', `${id}.signed.json`, 'again.json', '--id', 'another', '--fresh']);
    expect((await beacon(['submit', 'again.json'])).code).toBe(0);
  });
});

describe('a private job', () => {
  test('is read by its key and by the operator; for others it is accepted, and that is said', async () => {
    expect((await beacon(['keygen', '--out', 'other.pem'])).code).toBe(0);
    const other = { BEACON_KEY: 'other.pem' };
    const { id, file } = await signedFile({ visibility: 'private' });
    const hidden = await beacon(['submit', file, '--wait'], other);
    expect(hidden.code).toBe(4);
    expect(hidden.err).toContain(
      `job ${id} is accepted; the job is private: only its key and the operator read it`,
    );
    expect((await beacon(['job', 'get', id], other)).code).toBe(4);
    expect((await beacon(['job', 'get', id], { BEACON_KEY: 'none.pem' })).code).toBe(4);
    expect((await beacon(['job', 'get', id])).out).toContain(`job ${id} accepted`);
    expect((await beacon(['execution', 'get', `${id}#1`])).out).toContain(id);
    expect((await beacon(['job', 'list'])).out).toContain(`${id} `);
    expect((await beacon(['job', 'list'], other)).out).not.toContain(`${id} `);
    const operator = { BEACON_OPERATOR_TOKEN: OPERATOR_TOKEN };
    expect((await beacon(['job', 'get', id], operator)).out).toContain(`job ${id} accepted`);
    expect((await beacon(['execution', 'get', `${id}#1`], operator)).out).toContain(id);
  });

  test('is read with the token of this machine’s stack, which goes to no other address', async () => {
    const { id, file } = await signedFile({ metadata: { visibility: 'private', ...stamp() } });
    await beacon(['submit', file]);
    const state = path.join(folder.path, 'own');
    await mkdir(state);
    await writeFile(path.join(state, 'operator.token'), `${OPERATOR_TOKEN}\n`, { mode: 0o600 });
    const get = ['job', 'get', id, '--state', 'own'];
    const noKey = { BEACON_KEY: 'none.pem' };
    await writeFile(path.join(state, 'stack.json'), JSON.stringify({ api: { url: 'http://127.0.0.1:1' } }));
    expect((await beacon(get, noKey)).code).toBe(4);
    await writeFile(path.join(state, 'stack.json'), JSON.stringify({ api: { url } }));
    expect((await beacon(get, noKey)).code).toBe(0);
  });
});

describe('job', () => {
  test('list pages with the cursor that it names', async () => {
    for (let n = 0; n < 3; n += 1) await beacon(['submit', (await signedFile()).file]);
    const first = await beacon(['job', 'list', '--limit', '2']);
    expect(first.out.trimEnd().split('\n')).toHaveLength(3);
    const cursor = /--cursor (\S+)/.exec(first.err)?.[1] ?? '';
    const second = await beacon(['job', 'list', '--limit', '2', '--cursor', cursor, '--json']);
    const { jobs } = JSON.parse(second.out) as { jobs: { id: string }[] };
    expect(first.out).not.toContain(`${jobs[0]?.id ?? ''} `);
    expect((await beacon(['job', 'list', '--status', 'completed'])).err).toContain('no jobs');
  });

  test('get shows every execution, of a job with many too', async () => {
    const questions = Array.from({ length: 70 }, (_, n) => `question ${n}?`);
    const { id, file } = await signedFile({ questions });
    await beacon(['submit', file]);
    const job = JSON.parse((await beacon(['job', 'get', id, '--json'])).out) as {
      executions: { index: number }[];
    };
    expect(job.executions.map(({ index }) => index)).toEqual(Array.from({ length: 210 }, (_, n) => n));
    expect((await beacon(['job', 'get', id])).out.trimEnd().split('\n')).toHaveLength(212);
  });

  test('get and list show the state on every terminal, and whole ids unless it is too narrow for both', async () => {
    const { id, file } = await signedFile();
    await beacon(['submit', file]);
    const { executions } = JSON.parse((await beacon(['job', 'get', id, '--json'])).out) as {
      executions: { id: string; status: string }[];
    };
    const shown = async (columns: number, ...words: string[]): Promise<string> => {
      const io = recordedIo({ cwd: folder.path, env: { BEACON_API: url }, tty: true, columns });
      await main(words, io);
      return io.out();
    };
    for (const columns of [50, 60, 80]) {
      const out = await shown(columns, 'job', 'get', id);
      for (const execution of executions)
        expect(out).toMatch(new RegExp(`${execution.id} .*${execution.status}`));
    }
    const narrow = await shown(40, 'job', 'get', id);
    for (const execution of executions) {
      const ends = `${execution.id.slice(0, 10)}\\S*…\\S*${execution.id.slice(-10)}`;
      expect(narrow).toMatch(new RegExp(`^ *\\d+ +${ends} +${execution.status}$`, 'm'));
    }
    expect(await shown(40, 'job', 'list')).toMatch(new RegExp(`^${id} +accepted`, 'm'));
  });

  test('cancel is signed by the job’s key; another key is refused', async () => {
    const { id, file } = await signedFile();
    await beacon(['submit', file]);
    await beacon(['keygen', '--out', 'stranger.pem']);
    const refused = await beacon(['job', 'cancel', id, '--key', 'stranger.pem']);
    expect(refused.code).toBe(4);
    const asked = await beacon(['job', 'cancel', id]);
    expect(asked).toMatchObject({ code: 0, out: `job ${id} (accepted) is asked to end\n` });
  });

  test('an operator of this machine needs no key, and his token goes to no other address', async () => {
    const { id, file } = await signedFile();
    await beacon(['submit', file]);
    await writeFile(path.join(folder.path, 'operator.token'), `${OPERATOR_TOKEN}\n`, { mode: 0o600 });
    const asOperator = ['job', 'cancel', id, '--state', '.', '--json'];
    await writeFile(
      path.join(folder.path, 'stack.json'),
      JSON.stringify({ api: { url: 'http://127.0.0.1:1' } }),
    );
    const elsewhere = await beacon(asOperator, { BEACON_KEY: 'no-such-key.pem' });
    expect(elsewhere.code).toBe(2);
    await writeFile(path.join(folder.path, 'stack.json'), JSON.stringify({ api: { url } }));
    const here = await beacon(asOperator, { BEACON_KEY: 'no-such-key.pem' });
    expect(here.code).toBe(0);
    expect(JSON.parse(here.out)).toMatchObject({ job_id: id, cancel_requested: true });
  });

  test('unknown things are code 4', async () => {
    for (const argv of [
      ['job', 'get'],
      ['job', 'watch'],
      ['execution', 'get'],
      ['receipt', 'get'],
      ['execution', 'logs'],
    ]) {
      const { code, err } = await beacon([...argv, argv[0] === 'job' ? 'nosuch' : '987654']);
      expect([argv, code, err]).toEqual([argv, 4, expect.stringMatching(/^beacon: .*not found.*\n$/)]);
    }
  });
});

describe('execution', () => {
  test('get and logs of one that has not begun', async () => {
    const { id, file } = await signedFile();
    await beacon(['submit', file]);
    const job = JSON.parse((await beacon(['job', 'get', id, '--json'])).out) as {
      executions: { id: string }[];
    };
    const execution = job.executions[0]?.id ?? '';
    const got = await beacon(['execution', 'get', execution]);
    expect(got.out).toMatch(new RegExp(`^execution  ${execution}\njob        ${id}\nstatus     pending\n`));
    expect(await beacon(['execution', 'logs', execution])).toMatchObject({ code: 0, out: '' });
  });

  test('the n-th of a job is found by its place', async () => {
    const { id, file } = await signedFile();
    await beacon(['submit', file]);
    const job = JSON.parse((await beacon(['job', 'get', id, '--json'])).out) as {
      executions: { id: string }[];
    };
    const [, second] = job.executions;
    for (const name of [`${id}#2`, `${id}/2`]) {
      const got = await beacon(['execution', 'get', name, '--json']);
      expect(JSON.parse(got.out)).toMatchObject({ id: second?.id, job_id: id });
    }
    expect((await beacon(['execution', 'logs', `${id}#2`])).code).toBe(0);
    const beyond = await beacon(['execution', 'get', `${id}#7`]);
    expect([beyond.code, beyond.err]).toEqual([4, expect.stringContaining('no execution #7')]);
  });
});

test('status of a service tells what it depends on', async () => {
  const { code, out } = await beacon(['status', '--api', url]);
  expect(code).toBe(0);
  expect(out).toMatch(/database +healthy/);
});
