// Builds a full Temporal server and its schema tool from the official source that go.mod and go.sum pin. Only benches
// use it: `beacon up` runs the dev server. Kept in the user's cache, so that it is built once (minutes on two cores).
// node tools/temporal-server/build.js
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { access, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const PACKAGES = ['go.temporal.io/server/cmd/server', 'go.temporal.io/server/cmd/tools/sql'];

/**
 * Paths of the two programs, building them when the cache has none.
 *
 * @param {(text: string) => void} [say]
 * @returns {Promise<{ server: string, sql: string, version: string }>}
 */
export async function temporalServer(say = () => undefined) {
  const mod = await readFile(path.join(here, 'go.mod'), 'utf8');
  const sum = await readFile(path.join(here, 'go.sum'), 'utf8');
  const version = /\bgo\.temporal\.io\/server v(\S+)/.exec(mod)?.[1] ?? 'unknown';
  const hash = createHash('sha256').update(mod).update(sum).digest('hex').slice(0, 8);
  const cache = path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache'), 'beacon');
  const folder = path.join(cache, `temporal-server-${version}-${hash}-${process.platform}-${process.arch}`);
  const programs = { server: path.join(folder, 'server'), sql: path.join(folder, 'sql'), version };
  const isThere = () =>
    Promise.all([access(programs.server), access(programs.sql)]).then(
      () => true,
      () => false,
    );
  if (await isThere()) return programs;
  say(`building Temporal server ${version} once, into ${cache}`);
  await mkdir(cache, { recursive: true, mode: 0o700 });
  const fresh = await mkdtemp(path.join(cache, 'building-'));
  try {
    await go(['build', '-trimpath', '-ldflags', '-s -w', '-o', `${fresh}${path.sep}`, ...PACKAGES]);
    // Whoever was first keeps its place; both are the same.
    await rename(fresh, folder).catch(async (error) => {
      if (!(await isThere())) throw error;
    });
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  return programs;
}

async function go(words) {
  const PATH = [process.env.PATH, '/usr/local/go/bin', '/usr/lib/go/bin', '/opt/homebrew/bin'].join(
    path.delimiter,
  );
  const child = spawn('go', words, {
    cwd: here,
    env: { ...process.env, PATH, GOFLAGS: '-mod=readonly', GOWORK: 'off', CGO_ENABLED: '0' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`go ${words[0]} failed with exit code ${code}; is Go installed?`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(await temporalServer(console.error));
