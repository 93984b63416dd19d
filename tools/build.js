// Builds dist/ (TypeScript without type checks, those belong to `npm run types`) and the workflow bundle.
// `node tools/build.js` always builds, `--if-stale` only when a source is newer, `--bundle-only` just checks the bundle.
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
  rmSync,
  renameSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const dist = path.join(root, 'dist');
const stamp = path.join(dist, '.built');
const sources = [
  'domain',
  'workflows',
  'activities',
  'backends',
  'attestation',
  'store',
  'api',
  'worker',
  'cli',
  'embedded',
  'observability',
  'config',
];

function newestSourceMs() {
  let newest = statSync(path.join(root, 'package-lock.json')).mtimeMs;
  for (const folder of sources) {
    if (!existsSync(path.join(root, folder))) continue;
    for (const entry of readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
      newest = Math.max(newest, statSync(path.join(entry.parentPath ?? entry.path, entry.name)).mtimeMs);
    }
  }
  return newest;
}

export function isStale() {
  return !existsSync(stamp) || statSync(stamp).mtimeMs < newestSourceMs();
}

/**
 * Tells Chromium to compile a module's functions while it loads, off the main thread, not at the first call of each
 * (explicit compile hints). A check of a bundle calls nearly all of them, most of them once.
 */
const COMPILED_ON_LOAD = '//# allFunctionsCalledOnLoad\n';

function hintPages(folder) {
  for (const name of readdirSync(folder, { recursive: true })) {
    const file = path.join(folder, name);
    if (!file.endsWith('.js')) continue;
    writeFileSync(file, COMPILED_ON_LOAD + readFileSync(file, 'utf8'));
    const map = JSON.parse(readFileSync(`${file}.map`, 'utf8'));
    // A line more before the first.
    writeFileSync(`${file}.map`, JSON.stringify({ ...map, mappings: `;${map.mappings}` }));
  }
}

async function bundle() {
  const { bundleWorkflowCode } = await import('@temporalio/worker');
  const quiet = () => {};
  const logger = {
    trace: quiet,
    debug: quiet,
    info: quiet,
    log: quiet,
    warn: console.warn,
    error: console.error,
  };
  const { code } = await bundleWorkflowCode({
    workflowsPath: path.join(root, 'workflows', 'index.ts'),
    workflowInterceptorModules: [path.join(root, 'workflows', 'trace-context.ts')],
    logger,
  });
  return code;
}

export async function build() {
  const began = new Date();
  const result = spawnSync(
    process.execPath,
    [path.join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.build.json', '--noCheck'],
    { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] },
  );
  if (result.status !== 0) throw new Error('tsc failed');
  hintPages(path.join(dist, 'domain'));
  const file = path.join(dist, 'workflow-bundle.js');
  mkdirSync(dist, { recursive: true });
  writeFileSync(`${file}.${process.pid}`, await bundle());
  renameSync(`${file}.${process.pid}`, file);
  writeFileSync(stamp, began.toISOString());
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv.includes('--bundle-only')) {
    const code = await bundle();
    console.log(`workflow bundle: ${(code.length / 1024).toFixed(0)} KiB`);
  } else if (!process.argv.includes('--if-stale') || isStale()) {
    rmSync(stamp, { force: true });
    await build();
  }
}
