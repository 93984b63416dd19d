import { once } from 'node:events';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { freePort } from '../port.ts';
import { sendSignal } from '../process-identity.ts';
import { findTemporalBinary } from './binary.ts';
import { startTemporal, type TemporalOptions } from './server.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let options: TemporalOptions & { folder: string };
const said: string[] = [];

beforeAll(async () => {
  folder = await temporaryFolder();
  const { path: binary } = await findTemporalBinary({ stateFolder: folder.path });
  options = {
    binary,
    folder: path.join(folder.path, 'temporal'),
    logFile: path.join(folder.path, 'temporal.log'),
    progress: { say: (line) => said.push(line), update: () => undefined },
  };
  // Not the usual ports, which other tests' servers take at the same time.
  const ports = {
    grpc: await freePort(undefined),
    http: await freePort(undefined),
    ui: await freePort(undefined),
    metrics: await freePort(undefined),
  };
  await mkdir(options.folder, { mode: 0o700 });
  await writeFile(path.join(options.folder, 'ports.json'), JSON.stringify(ports));
});
afterAll(async () => folder[Symbol.asyncDispose]());

async function withClient<T>(address: string, work: (client: Client) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address });
  try {
    return await work(new Client({ connection }));
  } finally {
    await connection.close();
  }
}
const start = (address: string, workflowId: string) =>
  withClient(address, (client) => client.workflow.start('any', { workflowId, taskQueue: 'none' }));
const status = (address: string, workflowId: string) =>
  withClient(address, async (client) => {
    const found = await client.workflow.getHandle(workflowId).describe();
    return found.status.name;
  });

test('a killed server comes back with its workflows, on the same addresses', async () => {
  const first = await startTemporal(options);
  await start(first.address, 'kept');
  sendSignal(first.identity.pid, 'SIGKILL');
  await first.ended;

  await using second = await startTemporal(options);
  expect([second.address, second.uiUrl]).toEqual([first.address, first.uiUrl]);
  expect(await status(second.address, 'kept')).toBe('RUNNING');
  expect((await fetch(second.uiUrl!)).status).toBe(200);
});

test('a port that somebody took is replaced, and the choice is said', async () => {
  const first = await startTemporal(options);
  await first[Symbol.asyncDispose]();
  const port = Number(first.address.split(':')[1]);
  const squatter = createServer().listen(port, '127.0.0.1');
  await once(squatter, 'listening');
  await using second = await startTemporal(options);
  squatter.close();
  expect(second.address).not.toBe(first.address);
  expect(said.join()).toContain(`grpc port ${port} is taken`);
  expect(await status(second.address, 'kept')).toBe('RUNNING');
});

test('remembered ports that cannot be understood count as none, and this is said', async () => {
  const portsPath = path.join(options.folder, 'ports.json');
  await writeFile(portsPath, '{"grpc": 7');
  await using server = await startTemporal(options);
  expect(said.join()).toContain(`${portsPath} cannot be understood`);
  expect(JSON.parse(await readFile(portsPath, 'utf8'))).toMatchObject({
    grpc: Number(server.address.split(':')[1]),
  });
});

test('a damaged database is moved away and a new one made', async () => {
  for (const ending of ['-wal', '-shm'])
    await rm(path.join(options.folder, `temporal.db${ending}`), { force: true });
  await writeFile(path.join(options.folder, 'temporal.db'), 'half of a page');
  await using server = await startTemporal(options);
  await expect(status(server.address, 'kept')).rejects.toThrow(/not found/);
  await start(server.address, 'new');
  expect(said.join()).toContain('damaged');
});
