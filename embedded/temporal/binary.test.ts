import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { findTemporalBinary } from './binary.ts';
import { pinnedTemporal } from './pinned.ts';

let place: string;
let env: NodeJS.ProcessEnv;

beforeEach(async () => {
  const folder = await temporaryFolder();
  place = folder.path;
  env = {
    PATH: '/nonexistent',
    XDG_CACHE_HOME: path.join(place, 'cache'),
    BEACON_TEMPORAL_DOWNLOAD: 'off',
    BEACON_TEMPORAL_BUILD: 'off',
  };
  return () => folder[Symbol.asyncDispose]();
});

async function fakeTemporal(file: string, version: string): Promise<string> {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, `#!/bin/sh\necho "temporal version ${version} (Server 0, UI 0)"\n`);
  await chmod(file, 0o755);
  return file;
}

const find = (stateFolder = path.join(place, 'state')) => findTemporalBinary({ stateFolder, env });

async function archiveServer(answer: RequestListener): Promise<{ url: string } & AsyncDisposable> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

test('the named program is used before the one on PATH, and that before our copy', async () => {
  const { name } = pinnedTemporal();
  const copy = await fakeTemporal(path.join(place, 'state/bin', name), '1.0.0');
  expect(await find()).toMatchObject({
    source: 'state',
    path: copy,
    version: expect.stringContaining('1.0.0'),
  });
  env.PATH = path.dirname(await fakeTemporal(path.join(place, 'path/temporal'), '2.0.0'));
  expect(await find()).toMatchObject({ source: 'PATH', version: expect.stringContaining('2.0.0') });
  env.TEMPORAL_CLI_PATH = await fakeTemporal(path.join(place, 'named'), '3.0.0');
  expect(await find()).toMatchObject({ source: 'TEMPORAL_CLI_PATH' });
});

test('a named program that is none is an error, not a reason to look elsewhere', async () => {
  await fakeTemporal(path.join(place, 'state/bin', pinnedTemporal().name), '1.0.0');
  env.TEMPORAL_CLI_PATH = '/bin/true';
  await expect(find()).rejects.toMatchObject({ code: 'temporal_unavailable' });
});

test('a copy that others may write is not run', async () => {
  const copy = await fakeTemporal(path.join(place, 'state/bin', pinnedTemporal().name), '1.0.0');
  await chmod(copy, 0o777);
  await expect(find()).rejects.toMatchObject({ code: 'temporal_unavailable' });
});

test('the official archive is fetched once for two starters and all later checkouts', async () => {
  await fakeTemporal(path.join(place, 'archive/temporal'), '1.8.2');
  const archive = path.join(place, 'temporal.tar.gz');
  execFileSync('tar', ['-czf', archive, '-C', path.join(place, 'archive'), 'temporal']);
  const asked: string[] = [];
  await using server = await archiveServer((request, response) => {
    asked.push(request.url ?? '');
    void readFile(archive).then((bytes) => response.end(bytes));
  });
  env.BEACON_TEMPORAL_DOWNLOAD = server.url;
  env.PATH = '/usr/bin:/bin';
  const found = await Promise.all([find(path.join(place, 'a')), find(path.join(place, 'b'))]);
  expect(found.map(({ source }) => source).sort()).toEqual(['cache', 'download']);
  expect((await find(path.join(place, 'c'))).path).toBe(path.join(place, 'c/bin', pinnedTemporal().name));
  expect(asked).toEqual([expect.stringMatching(/^\/v1\.8\.2\?platform=\w+&arch=\w+$/)]);
});

test('an archive whose program does not run is refused', async () => {
  await fakeTemporal(path.join(place, 'archive/temporal'), '1.8.2');
  await writeFile(path.join(place, 'archive/temporal'), '#!/bin/sh\nexit 1\n');
  const archive = path.join(place, 'temporal.tar.gz');
  execFileSync('tar', ['-czf', archive, '-C', path.join(place, 'archive'), 'temporal']);
  await using server = await archiveServer((_request, response) => {
    void readFile(archive).then((bytes) => response.end(bytes));
  });
  env.BEACON_TEMPORAL_DOWNLOAD = server.url;
  env.PATH = '/usr/bin:/bin';
  await expect(find()).rejects.toThrow(/does not run on this machine/);
});

test.each([
  ['refused', undefined],
  ['404', (_request, response) => void response.writeHead(404).end()],
  ['silent', () => undefined],
] satisfies [string, RequestListener | undefined][])(
  'a download that is %s ends in seconds, in one line that names the ways out',
  async (_how, answer) => {
    await using server = await archiveServer(answer ?? (() => undefined));
    env.BEACON_TEMPORAL_DOWNLOAD = answer ? server.url : 'http://127.0.0.1:1';
    const began = performance.now();
    const failure = await find().catch((error: unknown) => String(error));
    expect(performance.now() - began).toBeLessThan(8_000);
    for (const way of ['TEMPORAL_ADDRESS', 'go.dev/dl', 'docs.temporal.io/cli'])
      expect(failure).toContain(way);
    expect(failure).not.toContain('\n');
  },
);
