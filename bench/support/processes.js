/** The processes that a bench starts: Beacon's roles as they run in production, a Temporal, and helpers of its own. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { runtimeSettings } from '../../dist/embedded/role.js';
import { findTemporalBinary } from '../../dist/embedded/temporal/binary.js';
import { startTemporal } from '../../dist/embedded/temporal/server.js';

const COMMAND = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const READY_MS = 60_000;
const STOP_MS = 20_000;
const STOPPED_LOG_CHARACTERS = 2_000;

/**
 * `beacon serve`, `relay` or `worker`, configured by `env` alone: what the caller's shell has set does not count.
 * BENCH_PROFILE=<folder> writes a profile of each (`--cpu-prof`).
 *
 * @param {'serve' | 'relay' | 'worker'} name
 * @param {{ folder: string, env: Record<string, string> }} options `folder` takes its log and state.
 * @returns {Promise<{ pid: number, url?: string, log: string } & AsyncDisposable>}
 */
export async function startBeacon(name, { folder, env }) {
  const started = startChild(COMMAND, {
    name,
    words: [name],
    folder,
    env: { BEACON_STATE: path.join(folder, 'state'), LOG_LEVEL: 'warn', ...env },
  });
  const ready = await started.next((message) => message.ready === true);
  return Object.assign(started, { url: ready.url });
}

/**
 * A Node process of ours with a channel. Disposing sends SIGTERM, after a while SIGKILL.
 *
 * @param {string} file
 * @param {{ name: string, words?: string[], folder: string, env?: Record<string, string> }} options
 */
export function startChild(file, { name, words = [], folder, env = {} }) {
  const log = path.join(folder, `${name}.log`);
  const fd = openSync(log, 'a');
  const profiles = process.env.BENCH_PROFILE;
  const child = fork(file, words, {
    env: { ...runtimeSettings(), PATH: process.env.PATH, HOME: process.env.HOME, TZ: 'UTC', ...env },
    stdio: ['ignore', fd, fd, 'ipc'],
    // Structured clones: arrays of samples cross as they are.
    serialization: 'advanced',
    execArgv:
      profiles === undefined || profiles === ''
        ? []
        : ['--cpu-prof', `--cpu-prof-dir=${path.join(profiles, name)}`],
  });
  closeSync(fd);
  const ended = once(child, 'exit').then(([code, signal]) => signal ?? `exit code ${code}`);
  ended.catch(() => undefined);
  return {
    pid: child.pid ?? 0,
    log,
    /** Sends a message. */
    send: (message) => void child.send(message),
    /** Hears all messages from now on. */
    heard: (listener) => void child.on('message', listener),
    /** The first message from now on that `wanted` accepts; rejects when the process ends or says nothing in time. */
    next: (wanted, timeoutMs = READY_MS) =>
      new Promise((resolve, reject) => {
        const heard = (message) => {
          if (wanted(message)) over(resolve, message);
        };
        const timer = setTimeout(
          () => over(reject, new Error(`${name} said nothing for ${timeoutMs / 1_000} s`)),
          timeoutMs,
        );
        const over = (settle, value) => {
          clearTimeout(timer);
          child.off('message', heard);
          settle(value);
        };
        child.on('message', heard);
        void ended.then(async (reason) => {
          const said = await readFile(log, 'utf8').catch(() => '');
          over(reject, new Error(`${name} ended: ${reason}\n${said.slice(-STOPPED_LOG_CHARACTERS)}`));
        });
      }),
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** Temporal's dev server in memory; the binary is found, or made, as `beacon up` does it. */
export async function benchTemporal(/** @type {string} */ folder) {
  const progress = { say: (text) => console.log(`# ${text}`), update: () => undefined };
  const { path: binary } = await findTemporalBinary({ stateFolder: folder, env: process.env, progress });
  return startTemporal({ binary, folder: null, logFile: path.join(folder, 'temporal.log') });
}
