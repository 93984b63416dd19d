import { createWriteStream } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { finished } from 'node:stream/promises';
import { runCommand } from '../command.ts';
import { EmbeddedError } from '../failure.ts';
import { BUILD_MS } from '../limits.ts';
import { type Progress, ticking } from '../progress.ts';
import { sourceFolder } from './pinned.ts';

const COMMAND = 'github.com/temporalio/cli/cmd/temporal';
const QUICK_MS = 20_000;

export interface GoTool {
  program: string;
  /** `go1.26.8` */
  version: string;
}

/** Go on PATH, or where its installers put it. */
export async function findGo(env: NodeJS.ProcessEnv): Promise<GoTool | null> {
  const folders = [
    ...(env.PATH ?? '').split(path.delimiter).filter(path.isAbsolute),
    '/usr/local/go/bin',
    '/usr/lib/go/bin',
    '/opt/homebrew/bin',
    path.join(os.homedir(), 'go', 'bin'),
  ];
  for (const folder of folders) {
    const program = path.join(folder, 'go');
    if (
      !(await stat(program).then(
        (found) => found.isFile(),
        () => false,
      ))
    )
      continue;
    const { code, output } = await runCommand(program, ['version'], { cwd: '/', env, timeoutMs: QUICK_MS });
    const version = /\b(go\d\S*)/.exec(output.replace(/^go version /, ''))?.[1];
    if (code === 0 && version !== undefined) return { program, version };
  }
  return null;
}

export interface BuildOptions {
  go: GoTool;
  version: string;
  /** Where the program goes. */
  file: string;
  env: NodeJS.ProcessEnv;
  logFile: string;
  progress: Progress;
  signal?: AbortSignal | undefined;
}

/** Builds the CLI from the modules whose hashes `tools/temporal/go.sum` pins; 2-3 minutes on two cores. */
export async function buildTemporal(options: BuildOptions): Promise<void> {
  const { go, version, file, logFile, progress, signal } = options;
  const env = goEnv(options);
  const log = createWriteStream(logFile, { flags: 'a', mode: 0o600 });
  let step = 'fetching its modules';
  using _clock = ticking(progress, (seconds) => `Temporal: ${step}, ${seconds} s`);
  const run = async (words: string[], onLine: (line: string) => void = () => undefined) => {
    log.write(`$ go ${words.join(' ')}\n`);
    const { code, output } = await runCommand(go.program, words, {
      cwd: sourceFolder,
      env,
      timeoutMs: BUILD_MS,
      signal,
      onLine: (line) => {
        log.write(`${line}\n`);
        onLine(line);
      },
    });
    signal?.throwIfAborted();
    if (code === 0) return;
    const reason = output.trim().split('\n').at(-1) ?? '';
    throw new EmbeddedError(
      'temporal_unavailable',
      `building the Temporal server failed while ${step.split(':')[0] ?? ''}: ${reason} (log: ${logFile}); install the Temporal CLI (https://docs.temporal.io/cli) or set TEMPORAL_ADDRESS`,
    );
  };
  try {
    let fetched = 0;
    await run(['mod', 'download', '-x'], (line) => {
      if (/ 200 OK/.test(line)) step = `fetching its modules: ${++fetched} files`;
    });
    let total = 0;
    await run(['list', '-deps', COMMAND], () => {
      total++;
    });
    let compiled = 0;
    step = `compiling: 0 of ${total} packages`;
    const flags = [
      '-trimpath',
      '-ldflags',
      `-s -w -X github.com/temporalio/cli/internal/temporalcli.Version=${version}`,
    ];
    await run(['build', '-v', ...flags, '-o', file, COMMAND], (line) => {
      if (!/^[\w./~-]+$/.test(line)) return;
      compiled++;
      step = line === COMMAND ? 'linking' : `compiling: ${compiled} of ${total} packages`;
    });
  } catch (error) {
    await rm(file, { force: true });
    throw error;
  } finally {
    log.end();
    await finished(log).catch(() => undefined);
  }
}

/** A caller's Go settings for proxies stay; those that would change what is built do not. */
function goEnv({ env, file }: BuildOptions): NodeJS.ProcessEnv {
  const home = env.HOME !== undefined && path.isAbsolute(env.HOME) ? {} : goFolders(path.dirname(file));
  return { ...env, ...home, GOFLAGS: '-mod=readonly', GOWORK: 'off', CGO_ENABLED: '0', GO111MODULE: 'on' };
}

/** An account without a home builds beside the binary. */
const goFolders = (folder: string) => ({
  GOPATH: path.join(folder, 'go'),
  GOCACHE: path.join(folder, 'go-build'),
});
