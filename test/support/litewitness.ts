import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { access, rm } from 'node:fs/promises';
import path from 'node:path';
import { runCommand } from '../../embedded/command.ts';
import { freePort } from '../../embedded/port.ts';
import { eventually } from './eventually.ts';

const BIN = path.join(import.meta.dirname, '../../.beacon/bin/torchwood/usr/bin');

/** Why there is no litewitness on this machine, or null. `tools/install-witness.sh` fetches it. */
export async function litewitnessMissing(): Promise<string | null> {
  for (const program of ['litewitness', 'witnessctl']) {
    const there = await access(path.join(BIN, program)).then(
      () => true,
      () => false,
    );
    if (!there) return `${program} is not there; tools/install-witness.sh fetches it`;
  }
  return null;
}

/** A witness that others wrote, with its key in an ssh-agent of its own. */
export interface Litewitness extends AsyncDisposable {
  url: string;
  vkey: string;
}

export async function startLitewitness(
  folder: string,
  logs: readonly { origin: string; vkey: string }[],
): Promise<Litewitness> {
  const file = (name: string) => path.join(folder, name);
  const run = async (program: string, ...words: string[]) => {
    const { code, output } = await runCommand(program, words, {
      cwd: folder,
      env: { ...process.env, SSH_AUTH_SOCK: file('agent.sock') },
      timeoutMs: 20_000,
    });
    if (code !== 0) throw new Error(`${program} ${words.join(' ')}: ${output}`);
    return output;
  };
  const running: ChildProcess[] = [];
  const start = (program: string, ...words: string[]): ChildProcess => {
    const child = spawn(program, words, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
    running.push(child);
    return child;
  };
  start('ssh-agent', '-D', '-a', file('agent.sock'));
  await eventually(() => access(file('agent.sock')).then(() => true));
  await run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', file('key'));
  await run('ssh-add', '-q', file('key'));
  await rm(file('key'));
  const fingerprint = /SHA256:\S+/.exec(await run('ssh-keygen', '-l', '-f', file('key.pub')))![0];
  for (const { origin, vkey } of logs) {
    await run(path.join(BIN, 'witnessctl'), 'add-log', '-db', file('witness.db'), '-origin', origin);
    await run(
      path.join(BIN, 'witnessctl'),
      'add-key',
      '-db',
      file('witness.db'),
      '-origin',
      origin,
      '-key',
      vkey,
    );
  }
  const listen = `127.0.0.1:${await freePort(undefined)}`;
  const child = start(
    path.join(BIN, 'litewitness'),
    ...['-name', 'witness.test/lite', '-db', file('witness.db'), '-ssh-agent', file('agent.sock')],
    ...['-listen', listen, '-key', fingerprint],
  );
  let said = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (said += text));
  const vkey = await eventually(() => /vkey="?([^\s"]+)/.exec(said)?.[1]);
  await eventually(() => fetch(`http://${listen}/`).then(({ status }) => (status > 0 ? true : undefined)));
  return {
    url: `http://${listen}`,
    vkey,
    async [Symbol.asyncDispose]() {
      for (const one of running.reverse()) {
        if (one.exitCode !== null || one.signalCode !== null) continue;
        const gone = once(one, 'exit');
        one.kill('SIGTERM');
        await gone;
      }
    },
  };
}
