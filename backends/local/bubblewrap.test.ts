import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { running } from '../../test/backends/conformance.ts';
import {
  linesOf,
  outputOf,
  runAttempt,
  scriptProgram,
  silent,
  stateFolder,
} from '../../test/backends/stand.ts';
import { eventually } from '../../test/support/eventually.ts';
import { describeNeeding } from '../../test/support/needing.ts';
import { bubblewrapArguments, confined } from './bubblewrap.ts';
import { createLocalBackend, isMissing, localSettings, probeMachine, programDigests } from './index.ts';
import { createJobFolder } from './job-folder.ts';
import { isRoot, JobUsers } from './job-users.ts';

const state = await stateFolder();
const settings = localSettings({
  stateFolder: state.path,
  programsFolder: join(state.path, 'own-programs'),
  isolation: 'bubblewrap',
  hostUserlandImages: ['debian'],
});
await scriptProgram(settings.programsFolder);
const machine = await probeMachine(settings);
const missing = isMissing(machine.bubblewrap) ? machine.bubblewrap.reason : null;

/** What bubblewrap and what stood before it in the same process were started with, by the name of the attempt. */
function environmentsOf(name: string): string[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .flatMap((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        const launcher =
          words[0]?.endsWith('bwrap') === true && words.some((word) => word.includes(`/${name}/`));
        return launcher ? [readFileSync(`/proc/${pid}/environ`, 'utf8')] : [];
      } catch {
        return [];
      }
    });
}

/** What a job would like to reach: keys, a database's socket, a loopback port, a neighbour's output. */
interface Prey {
  keyFile: string;
  readableFile: string;
  socket: string;
  port: number;
  neighbour: string;
}

describeNeeding('a job in bubblewrap that tries to get out', missing, () => {
  const servers: Server[] = [];
  const reached: string[] = [];
  let prey: Prey;

  beforeAll(async () => {
    const keys = join(state.path, 'keys');
    await mkdir(keys, { mode: 0o700 });
    prey = {
      keyFile: join(keys, 'receipt.pem'),
      readableFile: join(state.path, 'readable.txt'),
      socket: join(state.path, 'postgres.sock'),
      port: 0,
      neighbour: join(state.path, 'jobs', 'neighbour'),
    };
    await writeFile(prey.keyFile, 'PRIVATE KEY', { mode: 0o600 });
    // Readable for all on purpose: only the wall may keep it from the job.
    await writeFile(prey.readableFile, 'PRIVATE KEY');
    await chmod(prey.readableFile, 0o644);
    for (const [name, listen] of [
      ['socket', prey.socket],
      ['loopback', { port: 0, host: '127.0.0.1' }],
    ] as const) {
      const server = createServer((connection) => {
        reached.push(name);
        connection.destroy();
      });
      server.listen(listen);
      await once(server, 'listening');
      servers.push(server);
    }
    await chmod(prey.socket, 0o777);
    prey.port = (servers[1]!.address() as { port: number }).port;
    process.env.DATABASE_URL = 'postgres://beacon:SECRET@127.0.0.1/beacon';
  });
  afterAll(async () => {
    for (const server of servers) server.close();
    await state[Symbol.asyncDispose]();
  });

  test('reaches nothing, and the outcome says truly what held it', async () => {
    const backend = createLocalBackend(settings, { log: silent });
    const tries: [name: string, script: string][] = [
      ['key file', `cat ${prey.keyFile}`],
      ['state folder', `cat ${prey.readableFile}`],
      ['list state folder', `ls ${state.path}`],
      ['own files seen from outside', `ls ${join(state.path, 'jobs')}`],
      ['neighbour', `touch ${prey.neighbour}`],
      ['etc', 'cat /etc/passwd'],
      ['home', 'ls /root/. /home/.'],
      ['environment of the worker', `cat /proc/${process.pid}/environ`],
      ['environment of every process', `cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep SECRET`],
      ['memory of the first process', 'head -c 1 /proc/1/mem'],
      ['root of the first process', `cat /proc/1/root${prey.readableFile}`],
      ['kill the worker', `kill -0 ${process.pid}`],
      ['see other processes', `ls /proc/${process.pid}/cmdline`],
      [
        'database socket',
        `perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Peer => "${prey.socket}") or exit 1'`,
      ],
      [
        'loopback port',
        `perl -MIO::Socket::INET -e 'IO::Socket::INET->new("127.0.0.1:${prey.port}") or exit 1'`,
      ],
      ['loopback by bash', `bash -c 'exec 3<>/dev/tcp/127.0.0.1/${prey.port}'`],
      ['write to /', 'touch /x'],
      ['write to /usr', 'touch /usr/x'],
      ['write to its program', 'touch /beacon/program/run'],
      ['write to its input', 'echo x >> "$BEACON_INPUT"'],
      ['write a device', 'mknod /tmp/disk b 8 0'],
      ['mount', 'mount -t tmpfs none /tmp'],
      ['remount', 'mount -o remount,rw /'],
      ['nested user namespace', 'unshare --user --map-root-user true'],
      ['nested mount namespace', 'unshare --mount true'],
      ['enter a namespace', 'nsenter --target 1 --mount true'],
      ['change user', `setpriv --reuid 0 true`],
      ['gain rights', 'su -c true'],
      ['change the host name', 'hostname evil'],
      ['kernel settings', 'echo 1 > /proc/sys/kernel/printk'],
      ['control groups', 'mkdir /sys/fs/cgroup/x'],
      [
        'leaked descriptors',
        `ls -l /proc/self/fd | grep -E ' ([4-9]|[1-9][0-9]+) -> ' | grep -v -E '/dev/null|/proc/'`,
      ],
    ];
    const script = tries
      .map(
        ([name, attempt]) =>
          `if (${attempt}) > /dev/null 2>&1; then echo "REACHED ${name}"; else echo "held ${name}"; fi`,
      )
      .join('\n');
    const told = await runAttempt(backend, { image: 'builtin:script', command: [script] });

    expect(told.outcome.failure, linesOf(told, 'stderr').join('\n')).toBeUndefined();
    expect(outputOf(told)!.trim().split('\n')).toEqual(tries.map(([name]) => `held ${name}`));
    expect(reached).toEqual([]);
    expect(told.outcome).toMatchObject({
      isolation: 'bubblewrap',
      imageRequested: 'builtin:script',
      imageExecuted: (await programDigests(settings.programsFolder)).script,
      limits: { network: 0, wall_ms: 90_000, open_files: 1_024 },
    });
    const enforced = machine.groups?.enforces ?? new Set();
    expect(told.outcome.limits.memory_bytes).toBe(enforced.has('memory') ? settings.memoryBytes : null);
    expect(told.outcome.limits.cpu_cores).toBe(enforced.has('cpu') ? settings.cpus : null);
  });

  test('a job’s variables are set inside only: nothing outside the sandbox is started with them', async () => {
    const traces = join(state.path, 'traces');
    await mkdir(traces);
    await chmod(traces, 0o777);
    const hostile = {
      PATH: `${traces}:/usr/bin:/bin`,
      LD_PRELOAD: `${traces}/evil.so`,
      LD_DEBUG: 'files',
      LD_DEBUG_OUTPUT: `${traces}/ran`,
      SHELLOPTS: 'xtrace',
      PS4: `$(: > ${traces}/ran)`,
      ENV: `${traces}/rc`,
      BASH_ENV: `${traces}/rc`,
    };
    const tools = ['sh', 'env', 'bwrap', 'prlimit', 'setpriv', 'sleep'];
    for (const name of [...tools, 'rc'])
      await writeFile(join(traces, name), `#!/bin/sh\n: > ${traces}/ran\n`, { mode: 0o755 });
    const backend = createLocalBackend(settings, { log: silent });
    let launchers: string[] = [];
    const told = await runAttempt(
      backend,
      {
        image: 'builtin:script',
        name: 'variables-1',
        environment: hostile,
        command: [
          'env -0 | tr "\\0" "\\n"; echo begun; until [ -e "$BEACON_OUTPUT_DIR/seen" ]; do sleep 0.02; done',
        ],
      },
      {
        onLine: ({ line }) => {
          if (line !== 'begun') return;
          launchers = environmentsOf('variables-1');
          writeFileSync(join(state.path, 'jobs', 'variables-1', 'out', 'seen'), '', { mode: 0o644 });
        },
      },
    );
    const inside = outputOf(told)!.split('\n');
    for (const [name, value] of Object.entries(hostile)) expect(inside).toContain(`${name}=${value}`);
    expect(launchers.length).toBeGreaterThan(0);
    for (const environment of launchers)
      expect(environment).toMatch(/^BEACON_WORK=[^\0]*\0((PWD|OLDPWD|SHLVL|_)=[^\0]*\0)*$/);
    expect(readdirSync(traces).sort()).toEqual([...tools, 'rc'].sort());
  });

  test('two jobs at once are different users and see nothing of one another', async () => {
    const backend = createLocalBackend(settings, { log: silent });
    const users: number[] = [];
    const both = await Promise.all(
      ['twin-1', 'twin-2'].map((name) =>
        runAttempt(
          backend,
          {
            image: 'builtin:script',
            name,
            command: ['echo begun; touch /tmp/mine; ls /tmp; sleep 0.5; ls /proc'],
          },
          {
            onLine: ({ line }) =>
              line === 'begun' && users.push(statSync(join(state.path, 'jobs', name, 'out')).uid),
          },
        ),
      ),
    );
    for (const told of both) {
      const said = outputOf(told)!.split('\n');
      expect(said.slice(0, 2)).toEqual(['begun', 'mine']);
      // Its own few processes and nobody else's.
      expect(said.filter((name) => /^\d+$/.test(name)).length).toBeLessThan(6);
    }
    expect(users).toHaveLength(2);
    if (!isRoot()) return;
    expect(users[0]).not.toBe(users[1]);
    expect(users).not.toContain(0);
  });

  test('the sandbox dies with its worker, even by kill -9', async () => {
    if (isMissing(machine.bubblewrap)) throw new Error('unreachable');
    const user = isRoot() ? new JobUsers(settings.users).take() : null;
    const folder = await createJobFolder(settings.stateFolder, 'orphan-1', Buffer.from('{}'), user);
    const terms = {
      command: [],
      environment: {},
      memoryBytes: settings.memoryBytes,
      cpus: 1,
      cpuSeconds: null,
      pids: 64,
    };
    const program = {
      kind: 'host' as const,
      programFolder: null,
      argv: ['/bin/sh', '-c', 'setsid sleep 71.25 & sleep 71.25'],
    };
    const argv = [
      ...confined(machine.tools, machine.groups, { user, terms }),
      ...bubblewrapArguments(machine.bubblewrap, { program, folder, terms }),
    ];
    const worker = spawn(
      process.execPath,
      [
        '-e',
        `const a = ${JSON.stringify(argv)}; require('child_process').spawn(a[0], a.slice(1), { detached: true, stdio: ['ignore', 'ignore', 'ignore', 'pipe'] })`,
      ],
      { stdio: 'ignore' },
    );
    await eventually(() => running('71.25').length >= 2 || undefined);
    worker.kill('SIGKILL');
    await eventually(() => running('71.25').length === 0 || undefined);
  });

  test('a registry image may be stood in for by the host’s userland only when the operator named it', async () => {
    const backend = createLocalBackend({ ...settings, engineSockets: [] }, { log: silent });
    const command = ['sh', '-c', 'echo from the host'];
    const named = await runAttempt(backend, { image: 'debian:12', command });
    expect(named.outcome.failure).toBeUndefined();
    expect(named.outcome).toMatchObject({ imageExecuted: 'none: host userland', isolation: 'bubblewrap' });
    const other = await runAttempt(backend, { image: 'ghcr.io/somebody/else:1', command });
    expect(other.outcome.failure).toMatchObject({ code: 'image_unavailable' });
    expect(other.outcome).toMatchObject({
      imageExecuted: null,
      isolation: null,
      startedAt: null,
      limits: {},
    });
  });

  test('nothing of an attempt stays behind', async () => {
    const backend = createLocalBackend(settings, { log: silent });
    const told = await runAttempt(backend, {
      image: 'builtin:script',
      command: [
        'mkdir "$BEACON_OUTPUT_DIR/d"; echo x > "$BEACON_OUTPUT_DIR/d/f"; chmod 000 "$BEACON_OUTPUT_DIR/d"; echo x',
      ],
      name: 'gone-1',
    });
    if (isRoot()) expect(told.outcome.failure).toBeUndefined();
    else expect(told.outcome.failure).toMatchObject({ code: 'file_special_refused' });
    await expect(readFile(join(state.path, 'jobs', 'gone-1', 'in', 'input.json'))).rejects.toThrow('ENOENT');
    expect(machine.groups?.names() ?? []).not.toContain('gone-1');
  });

  test('a private state folder stays private, and is said to be out of the jobs’ reach', async () => {
    const folder = join(state.path, 'private');
    await mkdir(folder, { mode: 0o700 });
    const found = await probeMachine({ ...settings, stateFolder: folder });
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    if (isRoot()) expect(found.bubblewrap).toMatchObject({ fix: expect.stringContaining('state folder') });
    else expect(isMissing(found.bubblewrap)).toBe(false);
  });

  test('a command that does not exist ends with 127', async () => {
    const backend = createLocalBackend({ ...settings, engineSockets: [] }, { log: silent });
    const told = await runAttempt(backend, { image: 'debian', command: ['/no/such/program'] });
    expect(told.outcome).toMatchObject({ exitCode: 127, failure: { code: 'exit_nonzero' } });
  });
});
