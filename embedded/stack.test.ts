import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { typescriptWords } from '../test/support/child-process.ts';
import { testDatabase } from '../test/support/postgres.ts';
import { temporaryFolder } from '../test/support/temporary-folder.ts';
import { writePidFile } from './pid-file.ts';
import { identify, isAlive, type ProcessIdentity, sendSignal } from './process-identity.ts';
import {
  readStackState,
  type Stack,
  type StackOptions,
  type StackState,
  startStack,
  stopStack,
} from './stack.ts';
import { findTemporalBinary } from './temporal/binary.ts';
import { waitUntil } from './wait-until.ts';

const support = path.join(import.meta.dirname, '../test/support');
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let options: StackOptions;

beforeEach(async () => {
  folder = await temporaryFolder();
  options = {
    stateFolder: path.join(folder.path, 'state'),
    sharedRoot: path.join(folder.path, 'shared'),
    roleCommand: (role) => ({
      program: process.execPath,
      words: [path.join(support, 'stand-in-role.js'), role],
    }),
  };
});
afterEach(async () => folder[Symbol.asyncDispose]());

const pids = (state: StackState): Record<string, ProcessIdentity> =>
  Object.fromEntries(state.parts.flatMap(({ name, process }) => (process ? [[name, process]] : [])));

async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  expect(await waitUntil(check, { timeoutMs: 20_000 })).toBe(true);
}

async function rolesOnly(env: NodeJS.ProcessEnv, url: string): Promise<Stack> {
  return startStack({
    ...options,
    env: { ...process.env, ...env, DATABASE_URL: url, TEMPORAL_ADDRESS: 'temporal.invalid:7233' },
  });
}

test('roles are started, restarted when they fall, and drained in their order', async () => {
  await using database = await testDatabase({ migrated: false });
  const stack = await rolesOnly({}, database.url);
  const first = pids(stack.state());
  expect(Object.keys(first)).toEqual(['api', 'relay', 'worker']);
  expect(stack.apiUrl()).toBe('http://127.0.0.1:8090');
  expect(await readStackState(options.stateFolder)).toMatchObject({
    alive: true,
    phase: 'running',
    api: { url: 'http://127.0.0.1:8090' },
  });
  expect((await database.pool.query('select count(*) as n from jobs')).rows).toEqual([{ n: 0 }]);
  await expect(startStack(options)).rejects.toMatchObject({
    code: 'state_locked',
    message: expect.stringContaining(`process ${process.pid}`),
  });

  sendSignal(first.worker!.pid, 'SIGKILL');
  await until(
    () => pids(stack.state()).worker !== undefined && pids(stack.state()).worker!.pid !== first.worker!.pid,
  );
  const second = pids(stack.state());
  expect([second.api, second.relay]).toEqual([first.api, first.relay]);

  await stack.stop();
  expect(Object.values(second).filter(isAlive)).toEqual([]);
  expect(await readFile(path.join(stack.folder.path, 'notes'), 'utf8')).toBe(
    'api drained\nrelay drained\nworker drained\n',
  );
  expect(await stopStack(options.stateFolder)).toBe('not_running');
});

test.skipIf(process.platform !== 'linux')(
  'each role gets the key that it signs with and no other (skipped where the kernel does not show environments)',
  async () => {
    await using database = await testDatabase({ migrated: false });
    await using stack = await rolesOnly(
      { BEACON_LOG_KEY_PEM: 'log key', BEACON_RECEIPT_KEY_PEM: 'receipt key' },
      database.url,
    );
    const keysOf = async (role: string) => {
      const environment = await readFile(`/proc/${pids(stack.state())[role]!.pid}/environ`, 'utf8');
      return environment.split('\0').filter((entry) => /^BEACON_[A-Z]+_KEY_PEM=/.test(entry));
    };
    expect(await keysOf('api')).toEqual([]);
    expect(await keysOf('relay')).toEqual(['BEACON_LOG_KEY_PEM=log key']);
    expect(await keysOf('worker')).toEqual(['BEACON_RECEIPT_KEY_PEM=receipt key']);
  },
);

test.skipIf(process.platform !== 'linux')(
  'addresses for one process are kept from the roles, which would all claim them, and this is said (skipped where the kernel does not show environments)',
  async () => {
    await using database = await testDatabase({ migrated: false });
    const said: string[] = [];
    options.progress = { say: (line) => said.push(line), update: () => undefined };
    await using stack = await rolesOnly(
      { ROLE_PORT: '9101', TEMPORAL_METRICS_ADDRESS: '127.0.0.1:9102' },
      database.url,
    );
    for (const { pid } of Object.values(pids(stack.state())))
      expect(await readFile(`/proc/${pid}/environ`, 'utf8')).not.toMatch(/ROLE_PORT|TEMPORAL_METRICS/);
    expect(said.filter((line) => line.startsWith('ROLE_PORT and TEMPORAL_METRICS_ADDRESS'))).toHaveLength(1);
  },
);

test('a role that cannot start ends the start, with its last words and nothing left running', async () => {
  await using database = await testDatabase({ migrated: false });
  await expect(rolesOnly({ STAND_IN_BROKEN: 'worker' }, database.url)).rejects.toMatchObject({
    code: 'role_not_ready',
    message: expect.stringMatching(/worker did not start: exit code 1; last words: cannot start: the reason/),
  });
  expect(await readStackState(options.stateFolder)).toBeNull();
  await using _lock = await rolesOnly({}, database.url);
});

test('secrets and state are for their owner alone, the token stays the same', async () => {
  await using database = await testDatabase({ migrated: false });
  const first = await rolesOnly({}, database.url);
  const mode = async (file: string) =>
    ((await stat(path.join(options.stateFolder, file))).mode & 0o777).toString(8);
  expect([await mode('.'), await mode('operator.token'), await mode('stack.json')]).toEqual([
    '700',
    '600',
    '600',
  ]);
  await first.stop();
  await using second = await rolesOnly({}, database.url);
  expect(second.operatorToken).toBe(first.operatorToken);
});

test('servers that fall come back; what a killed supervisor leaves is ended by the next start and by down, strangers are not touched', async () => {
  const binary = await findTemporalBinary({ stateFolder: path.join(support, '../../.beacon') });
  const startAndKill = async (
    meanwhile: (processes: Record<string, ProcessIdentity>) => Promise<void> = async () => undefined,
  ) => {
    const supervisor = spawn(
      process.execPath,
      [...typescriptWords(path.join(support, 'start-stack.ts')), options.stateFolder, options.sharedRoot!],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, TEMPORAL_CLI_PATH: binary.path, STAND_IN_STUBBORN: 'worker' },
      },
    );
    const [text] = (await once(supervisor.stdout.setEncoding('utf8'), 'data')) as [string];
    const ready = JSON.parse(text) as { url: string; state: StackState };
    await meanwhile(pids(ready.state));
    const known = await readStackState(options.stateFolder);
    supervisor.kill('SIGKILL');
    await once(supervisor, 'exit');
    return { url: ready.url, processes: pids(known!) };
  };
  const query = async (url: string, sql: string) => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    return client.query<Record<string, unknown>>(sql).finally(() => client.end());
  };

  const first = await startAndKill(async (processes) => {
    for (const name of ['postgres', 'temporal']) sendSignal(processes[name]!.pid, 'SIGKILL');
    await until(async () => {
      const parts = (await readStackState(options.stateFolder))?.parts ?? [];
      return parts.filter(({ restarts, alive }) => restarts === 1 && alive).length === 2;
    });
  });
  await until(() => !isAlive(first.processes.api!) && !isAlive(first.processes.relay!));
  for (const name of ['worker', 'temporal', 'postgres']) expect(isAlive(first.processes[name]!)).toBe(true);
  expect(await readStackState(options.stateFolder)).toMatchObject({ alive: false });
  await query(first.url, 'create table kept (n int)');
  const stranger = spawn('sleep', ['60']);
  const strangers = identify(stranger.pid!)!;
  writePidFile(path.join(options.stateFolder, 'run'), 'relay', { ...strangers, started: 'another time' });

  const second = await startAndKill();
  expect(Object.values(first.processes).filter(isAlive)).toEqual([]);
  expect(second.url).toBe(first.url);
  expect((await query(second.url, 'select count(*) from kept')).rowCount).toBe(1);
  expect(isAlive(strangers)).toBe(true);

  expect(await stopStack(options.stateFolder)).toBe('leftovers_ended');
  expect(Object.values(second.processes).filter(isAlive)).toEqual([]);
  stranger.kill();
}, 90_000);
