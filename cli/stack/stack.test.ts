import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { identify } from '../../embedded/process-identity.ts';
import { recordedIo } from '../../test/support/recorded-io.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { main } from '../command-line.ts';
import { commandName } from '../command-name.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder[Symbol.asyncDispose]());

async function beacon(argv: string[], env: Record<string, string> = {}) {
  const io = recordedIo({ cwd: folder.path, env });
  return { code: await main(argv, io), out: io.out(), err: io.err() };
}

test('where nothing runs, down is done and status cannot reach anything', async () => {
  expect(await beacon(['down'])).toMatchObject({
    code: 0,
    out: expect.stringContaining('nothing runs here'),
  });
  expect((await beacon(['status', '--api', 'http://127.0.0.1:1'])).code).toBe(3);
});

test('status shows the parts of a stack that has no API, instead of sending to itself', async () => {
  const state = path.join(folder.path, '.beacon');
  await mkdir(state);
  const process_ = identify(process.pid);
  const part = (name: string, there: boolean) => ({
    name,
    process: there ? process_ : null,
    restarts: there ? 0 : 1,
    log: `/logs/${name}.log`,
  });
  const written = {
    supervisor: process_,
    started_at: '2026-01-02T03:04:05.678Z',
    parts: [part('api', false), part('postgres', true)],
  };
  for (const [phase, api] of [
    ['starting', 'API: not started yet'],
    ['running', 'API: down'],
  ] as const) {
    await writeFile(path.join(state, 'stack.json'), JSON.stringify({ phase, ...written }));
    const { code, out, err } = await beacon(['status']);
    expect([code, err]).toEqual([3, '']);
    expect(out).toContain(`: ${phase}, since 2026`);
    expect(out).toMatch(/^api +down .*\npostgres +up /m);
    expect(out.trimEnd().split('\n').at(-1)).toBe(api);
    const json = JSON.parse((await beacon(['status', '--json'])).out) as unknown;
    expect(json).toMatchObject({ api: null, ready: false, stack: { phase } });
  }
});

test('doctor says what is there and what to do about what is not', async () => {
  const { code, out } = await beacon(['doctor', '--json'], { HOME: folder.path });
  const { ok, checks } = JSON.parse(out) as {
    ok: boolean;
    checks: { name: string; ok: boolean; required: boolean; fix: string }[];
  };
  expect(checks.find(({ name }) => name === 'node')).toMatchObject({ ok: true });
  expect(code).toBe(ok ? 0 : 1);
  expect(ok).toBe(checks.every((check) => check.ok || !check.required));
  for (const check of checks) expect(check.ok).toBe(check.fix === '');
});

test('a role without its settings is a mistake that names the setting', async () => {
  for (const role of ['serve', 'worker', 'relay', 'migrate']) {
    const { code, err } = await beacon([role]);
    expect([role, code]).toEqual([role, 2]);
    expect(err).toMatch(/^beacon: (DATABASE_URL|TEMPORAL_ADDRESS) is not set[^\n]*\n$/);
  }
  expect((await beacon(['worker', '--queues', 'no spaces, please!'])).code).toBe(2);
});

test.each([
  ['HTTP_PORT', '99999', 'names a port above 65535'],
  ['TRUST_ENFORCE', 'maybe', 'must be true or false'],
])('up and demo refuse %s=%s before anything starts', async (name, value, why) => {
  for (const command of ['up', 'demo']) {
    const { code, out, err } = await beacon([command], { [name]: value });
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(`${name}: "${value}" ${why}`);
  }
  expect(await readdir(folder.path)).toEqual([]);
});

test('in a checkout a line to copy calls the command by npx', () => {
  expect(commandName()).toBe('npx beacon');
});

test('a key goes where the person’s settings are, unless named', async () => {
  const places: [Record<string, string>, string][] = [
    [{ HOME: folder.path }, '.config/beacon/key.pem'],
    [{ HOME: folder.path, XDG_CONFIG_HOME: path.join(folder.path, 'xdg') }, 'xdg/beacon/key.pem'],
    [{ HOME: folder.path, BEACON_KEY: 'named.pem' }, 'named.pem'],
  ];
  for (const [env, place] of places) {
    expect((await beacon(['keygen'], env)).code).toBe(0);
    expect(await readFile(path.join(folder.path, place), 'utf8')).toContain('PRIVATE KEY');
  }
  expect((await stat(path.join(folder.path, '.config/beacon'))).mode & 0o777).toBe(0o700);
});
