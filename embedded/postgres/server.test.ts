import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { typescriptWords } from '../../test/support/child-process.ts';
import { serverAccount, spawnAs } from '../account.ts';
import { runCommand } from '../command.ts';
import { isAlive, sendSignal } from '../process-identity.ts';
import { type PostgresOptions, startPostgres } from './server.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let options: PostgresOptions;

beforeAll(async () => {
  folder = await temporaryFolder();
  options = {
    secretsFolder: path.join(folder.path, 'secrets'),
    folder: path.join(folder.path, 'reachable'),
    logFile: path.join(folder.path, 'postgres.log'),
    account: await serverAccount(),
  };
  // A start that was killed in the middle of initdb leaves this.
  const half = path.join(options.folder, 'postgres', 'data.new-1');
  await mkdir(half, { recursive: true });
  await writeFile(path.join(half, 'PG_VERSION'), '');
});
afterAll(async () => folder[Symbol.asyncDispose]());

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

test('a killed server comes back with every row, on the same address, beside a half-made data folder', async () => {
  const first = await startPostgres(options);
  expect(await readdir(path.join(options.folder, 'postgres'))).toEqual(['data']);
  await query(first.databaseUrl, 'create table kept (n int); insert into kept values (1), (2)');
  sendSignal(first.identity.pid, 'SIGKILL');
  expect(await first.ended).toBe('SIGKILL');

  await using second = await startPostgres(options);
  expect(second.databaseUrl).toBe(first.databaseUrl);
  expect(await query(second.databaseUrl, 'select n from kept')).toEqual([{ n: 1 }, { n: 2 }]);
});

test("the services' role is no superuser, and nobody gets in without the password", async () => {
  await using server = await startPostgres(options);
  expect(await query(server.databaseUrl, "select current_setting('is_superuser') as super")).toEqual([
    { super: 'off' },
  ]);
  const open = new URL(server.databaseUrl);
  open.password = 'wrong';
  await expect(query(open.href, 'select 1')).rejects.toThrow(/password authentication failed/);
});

test('a stale postmaster.pid whose number now belongs to somebody else is got over, and he is left alone', async () => {
  const stranger = spawn('sleep', ['60']);
  const first = await startPostgres(options);
  const pidFile = path.join(options.folder, 'postgres', 'data', 'postmaster.pid');
  const content = await readFile(pidFile, 'utf8');
  sendSignal(first.identity.pid, 'SIGKILL');
  await first.ended;
  await writeFile(pidFile, content.replace(/^\d+/, String(stranger.pid)));

  await using second = await startPostgres(options);
  expect(second.port).toBe(first.port);
  expect(stranger.exitCode).toBeNull();
  stranger.kill();
});

test('an empty postmaster.pid is got over', async () => {
  await writeFile(path.join(options.folder, 'postgres', 'data', 'postmaster.pid'), '');
  await using server = await startPostgres(options);
  expect(isAlive(server.identity)).toBe(true);
});

test('a server that outlived its parent is stopped before the next one starts', async () => {
  const left = await startPostgres(options);
  await using next = await startPostgres(options);
  expect(await left.ended).toBe('exit code 0');
  expect(next.port).toBe(left.port);
});

test('a port that somebody took is replaced, and the choice is said', async () => {
  const first = await startPostgres(options);
  await first[Symbol.asyncDispose]();
  const squatter = createServer().listen(first.port, '127.0.0.1');
  await once(squatter, 'listening');
  const said: string[] = [];
  await using second = await startPostgres({
    ...options,
    progress: { say: (line) => said.push(line), update: () => undefined },
  });
  squatter.close();
  expect(second.port).not.toBe(first.port);
  expect(said.join()).toContain(`port ${first.port} is taken`);
  expect(await query(second.databaseUrl, 'select count(*) as n from kept')).toEqual([{ n: '2' }]);
});

test('a remembered port that cannot be understood counts as none, and this is said', async () => {
  const said: string[] = [];
  const portFile = path.join(options.secretsFolder, 'postgres.port.json');
  for (const broken of ['{"po', '{"port":"high"}']) {
    await writeFile(portFile, broken);
    await using server = await startPostgres({
      ...options,
      progress: { say: (line) => said.push(line), update: () => undefined },
    });
    expect(JSON.parse(await readFile(portFile, 'utf8'))).toEqual({ port: server.port });
    expect(said.splice(0)).toEqual([`${portFile} cannot be understood; choosing anew`]);
  }
});

test('lost passwords are made anew for the same data', async () => {
  for (const name of ['postgres.superuser.password', 'postgres.password'])
    await rm(path.join(options.secretsFolder, name));
  const first = await startPostgres(options);
  expect(await query(first.databaseUrl, 'select count(*) as n from kept')).toEqual([{ n: '2' }]);
  await first[Symbol.asyncDispose]();
  await using second = await startPostgres(options);
  expect(second.adminUrl).toBe(first.adminUrl);
  expect(await query(second.adminUrl, 'select 1 as n')).toEqual([{ n: 1 }]);
});

test('data of another major version is named, not touched', async () => {
  const versionFile = path.join(options.folder, 'postgres', 'data', 'PG_VERSION');
  const version = await readFile(versionFile, 'utf8');
  await writeFile(versionFile, '9\n');
  await expect(startPostgres(options)).rejects.toMatchObject({ code: 'data_of_other_version' });
  await writeFile(versionFile, version);
});

test.skipIf(process.getuid?.() !== 0)('an ordinary user runs it himself', async ({ skip }) => {
  const account = (await serverAccount('nobody'))!;
  const { code } = await runCommand('ls', [import.meta.dirname], { account, cwd: '/', timeoutMs: 5_000 });
  skip(code !== 0, 'this checkout is closed to other users');
  await using place = await temporaryFolder();
  const home = path.join(place.path, 'home');
  await mkdir(home);
  await chown(home, account.uid, account.gid);
  const child: ChildProcess = spawn(
    process.execPath,
    [...typescriptWords(path.join(import.meta.dirname, '../../test/support/start-postgres.ts')), home],
    { ...spawnAs(account), cwd: home, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [said] = (await once(child.stdout!.setEncoding('utf8'), 'data')) as [string];
  await once(child, 'exit');
  expect(said).toContain(`uid ${account.uid}, server uid ${account.uid}`);
});
