import { execFileSync } from 'node:child_process';
import { link, mkdir, mkdtemp, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { collectOutputs } from './collect.ts';
import { mimeOf } from './mime.ts';

const outputs = (): Promise<string> => mkdtemp(join(tmpdir(), 'beacon-outputs-'));
const store = () =>
  vi.fn(async (bytes: AsyncIterable<Uint8Array> | Uint8Array) => {
    let size = 0;
    if (bytes instanceof Uint8Array) size = bytes.length;
    else for await (const part of bytes) size += part.length;
    return { sha256: '00', size };
  });
const nothing = new Uint8Array();

test('one refused file refuses all of them, before anything is stored', async () => {
  const folder = await outputs();
  await writeFile(join(folder, 'a.txt'), 'good');
  await mkdir(join(folder, 'z'));
  execFileSync('mkfifo', [join(folder, 'z', 'pipe')]);
  const kept = store();
  await expect(collectOutputs(folder, nothing, kept)).rejects.toMatchObject({
    failure: { code: 'file_special_refused' },
  });
  expect(kept).not.toHaveBeenCalled();
});

test('a socket and a hard link are refused', async () => {
  const sockets = await outputs();
  const server = createServer().listen(join(sockets, 'socket'));
  await once(server, 'listening');
  await expect(collectOutputs(sockets, nothing, store())).rejects.toMatchObject({
    failure: { code: 'file_special_refused' },
  });
  server.close();
  const links = await outputs();
  const secret = join(await outputs(), 'secret');
  await writeFile(secret, 'x');
  await link(secret, join(links, 'mine'));
  await expect(collectOutputs(links, nothing, store())).rejects.toMatchObject({
    failure: { code: 'file_link_refused' },
  });
});

test('a file that grows while it is read is cut off at what is allowed, whatever size it stated', async () => {
  const folder = await outputs();
  const path = join(folder, 'growing');
  await writeFile(path, 'small');
  const growing = vi.fn(async (bytes: AsyncIterable<Uint8Array> | Uint8Array) => {
    let size = 0;
    for await (const part of bytes as AsyncIterable<Uint8Array>) {
      size += part.length;
      if (size === 5) await truncate(path, 65 * 2 ** 20);
    }
    return { sha256: '00', size };
  });
  await expect(collectOutputs(folder, nothing, growing)).rejects.toMatchObject({
    failure: { code: 'file_too_large' },
  });
});

test('an error of the store passes as it is', async () => {
  const folder = await outputs();
  const broken = new Error('database away');
  await expect(collectOutputs(folder, Buffer.from('out'), () => Promise.reject(broken))).rejects.toBe(broken);
});

test('types go by extension and are never guessed', () => {
  expect(mimeOf('a/b.JSON')).toBe('application/json');
  expect(mimeOf('noextension')).toBe('application/octet-stream');
  expect(mimeOf('.constructor')).toBe('application/octet-stream');
});
