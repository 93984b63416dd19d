/** An emulated network and a process that runs executions on it, each by itself, so that memory is the worker's alone. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { residentMib } from './measure.js';

const loader = fileURLToPath(new URL('../../test/support/typescript-loader.js', import.meta.url));
const STOP_MS = 10_000;

/** @param {string} file @param {string[]} execArgv */
function child(file, execArgv) {
  const process_ = fork(file, [], { execArgv, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  let asked = 0;
  return {
    pid: process_.pid,
    /** Sends `what` and waits for the answer to it. */
    ask(what) {
      const id = ++asked;
      return new Promise((resolve, reject) => {
        const listen = (message) => {
          if (message.id !== id) return;
          process_.off('message', listen);
          process_.off('exit', ended);
          if (message.error === undefined) resolve(message.answer);
          else reject(new Error(message.error));
        };
        const ended = (code) => reject(new Error(`${file} ended with ${code}`));
        process_.on('message', listen);
        process_.once('exit', ended);
        process_.send({ id, ...what });
      });
    },
    async [Symbol.asyncDispose]() {
      if (process_.exitCode !== null || process_.signalCode !== null) return;
      const ended = once(process_, 'exit');
      process_.disconnect();
      const timer = setTimeout(() => process_.kill('SIGKILL'), STOP_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** @param {number} providers */
export async function yagnaProcess(providers) {
  const file = fileURLToPath(new URL('yagna-process.js', import.meta.url));
  const part = child(file, ['--import', loader]);
  const { url, key, image } = await part.ask({ start: { providers } });
  return {
    url,
    key,
    image,
    problems: () => part.ask({ problems: true }),
    /** What providers worked for these activities, in milliseconds. */
    worked: (activities) => part.ask({ worked: { activities } }),
    [Symbol.asyncDispose]: () => part[Symbol.asyncDispose](),
  };
}

/** @param {{ url: string, key: string, image: object }} yagna @param {string} file */
export async function golemProcess({ url, key, image }, file) {
  const part = child(file, ['--expose-gc']);
  await part.ask({ start: { url, key, image } });
  return {
    /** @param {{ count: number, parallel: number }} what */
    run: (what) => part.ask({ run: what }),
    async memory() {
      const { heapMib } = await part.ask({ memory: true });
      return { heapMib, residentMib: residentMib(part.pid) };
    },
    [Symbol.asyncDispose]: () => part[Symbol.asyncDispose](),
  };
}
