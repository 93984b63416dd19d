import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { readFile } from 'node:fs/promises';

const COMMAND = path.join(import.meta.dirname, '../../dist/cli/main.js');
const LOADED_MODULES = pathToFileURL(path.join(import.meta.dirname, 'loaded-modules.js')).href;

/** A role of the build in a process of its own, ready. */
export interface OwnRole {
  url: string;
  /** Lines of its log so far. */
  lines: Record<string, unknown>[];
  /** Ends it as an operator does; how long that took. */
  stop(): Promise<number>;
  kill(): void;
}

/** `modules`: a file for the list of CommonJS modules that it had loaded when it ended. */
export async function startRole(words: string[], env: NodeJS.ProcessEnv, modules?: string): Promise<OwnRole> {
  const preload = modules === undefined ? [] : ['--import', LOADED_MODULES];
  const child = spawn(process.execPath, [...preload, COMMAND, ...words], {
    env: {
      PATH: process.env.PATH,
      ...env,
      ...(modules === undefined ? {} : { LOADED_MODULES_FILE: modules }),
    },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const lines: Record<string, unknown>[] = [];
  let rest = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    const parts = `${rest}${text}`.split('\n');
    rest = parts.pop() ?? '';
    for (const line of parts)
      if (line.startsWith('{')) lines.push(JSON.parse(line) as Record<string, unknown>);
  });
  const url = await new Promise<string>((resolve, reject) => {
    child.once('exit', (code) =>
      reject(new Error(`${words.join(' ')}: ${code} ${JSON.stringify(lines.at(-1))}`)),
    );
    child.on('message', (message) => {
      const { ready, url: at } = message as { ready?: boolean; url?: string };
      if (ready === true) resolve(at ?? '');
    });
  });
  return {
    url,
    lines,
    async stop() {
      const began = performance.now();
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM');
        await once(child, 'exit');
      }
      return performance.now() - began;
    },
    kill: () => void child.kill('SIGKILL'),
  };
}

export const readModules = async (file: string): Promise<string[]> =>
  JSON.parse(await readFile(file, 'utf8')) as string[];
