import { createHash } from 'node:crypto';
import { access, mkdir, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { runCommand } from '../../embedded/command.ts';
import { takeLock } from '../../embedded/folder-lock.ts';
import { findGo } from '../../embedded/temporal/build.ts';
import { waitUntil } from '../../embedded/wait-until.ts';

const CHECKOUT = path.join(import.meta.dirname, '../..');
/** cosign takes five minutes on two busy cores. */
const BUILD_MS = 20 * 60_000;

/** A program of others, or why it cannot be had on this machine. */
export type GoProgram = { path: string; missing: null } | { path: ''; missing: string };

/**
 * The program that `tools/<name>/go.mod` names with `tool` (the first, or the one whose path ends in `program`), built from
 * the sources that its `go.sum` pins and kept in `.beacon/bin` under their hash. Without Go, or where its modules cannot be
 * fetched, it is missing; a build that fails is an error.
 */
export async function goProgram(name: string, wanted = ''): Promise<GoProgram> {
  const folder = path.join(CHECKOUT, 'tools', name);
  const mod = await readFile(path.join(folder, 'go.mod'), 'utf8');
  const sum = await readFile(path.join(folder, 'go.sum'), 'utf8');
  const command = toolsOf(mod).find((tool) => tool.endsWith(wanted));
  if (command === undefined) throw new TypeError(`tools/${name}/go.mod names no tool ${wanted}`);
  const hash = createHash('sha256').update(mod).update(sum).digest('hex').slice(0, 8);
  const program = path.basename(command);
  const bin = path.join(CHECKOUT, '.beacon', 'bin');
  const file = path.join(bin, `${program}-${hash}-${process.platform}-${process.arch}`);
  if (await isThere(file)) return { path: file, missing: null };

  const go = await findGo(process.env);
  if (go === null) return { path: '', missing: `${program} is built from source, which needs Go` };
  const env = { ...process.env, GOFLAGS: '-mod=readonly', GOWORK: 'off', CGO_ENABLED: '0' };
  const run = (words: string[]) => runCommand(go.program, words, { cwd: folder, env, timeoutMs: BUILD_MS });
  process.stderr.write(`building ${program} once, into ${bin} ...\n`);
  const fetched = await run(['mod', 'download']);
  if (fetched.code !== 0)
    return { path: '', missing: `the sources of ${program} cannot be fetched: ${lastLine(fetched.output)}` };
  await mkdir(bin, { recursive: true, mode: 0o700 });
  await using _lock = await lockWhenFree(`${file}.lock`);
  // Another test file may have built it while we waited.
  if (await isThere(file)) return { path: file, missing: null };
  const made = `${file}.${process.pid}`;
  try {
    const built = await run(['build', '-trimpath', '-ldflags', '-s -w', '-o', made, command]);
    if (built.code !== 0) throw new Error(`building ${program} failed: ${lastLine(built.output)}`);
    await rename(made, file);
  } finally {
    await rm(made, { force: true });
  }
  return { path: file, missing: null };
}

/** Import paths of `tool` lines and of `tool ( … )` blocks. */
function toolsOf(mod: string): string[] {
  return [...mod.matchAll(/^tool (?:([^\s(]\S*)|\(([^)]*)\))$/gm)].flatMap(([, one, block]) =>
    (one ?? block!).trim().split(/\s+/),
  );
}

/** Test files run side by side, and the build takes all cores there are. */
async function lockWhenFree(file: string): Promise<AsyncDisposable> {
  let lock: AsyncDisposable | undefined;
  await waitUntil(
    async () => {
      lock = await takeLock(file, 'building a program').catch(() => undefined);
      return lock !== undefined;
    },
    { timeoutMs: BUILD_MS, everyMs: 500 },
  );
  if (lock === undefined) throw new Error(`${file} stayed locked`);
  return lock;
}

function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

function lastLine(output: string): string {
  return output.trim().split('\n').at(-1) ?? '';
}
