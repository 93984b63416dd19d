import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  linesOf,
  outputOf,
  runAttempt,
  scriptProgram,
  silent,
  stateFolder,
} from '../../test/backends/stand.ts';
import { describeNeeding } from '../../test/support/needing.ts';
import { createLocalBackend, localSettings, programDigests, shippedProgramsFolder } from './index.ts';

const state = await stateFolder();
const programsFolder = join(state.path, 'own-programs');
await scriptProgram(programsFolder);
const settings = localSettings({
  stateFolder: state.path,
  programsFolder,
  isolation: 'process',
  processDigests: Object.values(await programDigests(programsFolder)),
});
const shippedSettings = {
  ...settings,
  programsFolder: shippedProgramsFolder(),
  processDigests: Object.values(await programDigests(shippedProgramsFolder())),
};
afterAll(() => state[Symbol.asyncDispose]());

test('a program whose digest is not listed is never started', async () => {
  const backend = createLocalBackend({ ...settings, processDigests: [] }, { log: silent });
  const told = await runAttempt(backend, { image: 'builtin:script', command: ['echo ran'] });
  expect(told.outcome).toMatchObject({
    failure: { code: 'program_not_listed' },
    isolation: null,
    startedAt: null,
  });
  expect(told.lines).toEqual([]);
});

test('a listed program that was changed is no longer listed', async () => {
  const changed = join(state.path, 'changed-programs');
  await scriptProgram(changed);
  await writeFile(join(changed, 'script', 'more.txt'), 'one more file');
  const backend = createLocalBackend({ ...settings, programsFolder: changed }, { log: silent });
  const told = await runAttempt(backend, { image: 'builtin:script', command: ['echo ran'] });
  expect(told.outcome.failure).toMatchObject({ code: 'program_not_listed' });
});

test('an image never runs as a bare process', async () => {
  const backend = createLocalBackend(settings, { log: silent });
  for (const image of ['busybox:latest', 'oci:busybox']) {
    const told = await runAttempt(backend, { image, command: ['echo', 'ran'] });
    expect(told.outcome.failure).toMatchObject({ code: 'sandbox_unavailable' });
  }
});

test.each([
  ['PATH', '{evil}:/usr/bin:/bin'],
  ['LD_PRELOAD', '{evil}/evil.so'],
  ['LD_LIBRARY_PATH', '{evil}'],
  ['LD_AUDIT', '{evil}/evil.so'],
  ['LD_DEBUG', 'all'],
  ['LD_DEBUG_OUTPUT', '{evil}/ran'],
  ['GCONV_PATH', '{evil}'],
  ['SHELLOPTS', 'xtrace'],
  ['PS4', '$(touch {evil}/ran)'],
  ['ENV', '{evil}/rc'],
  ['BASH_ENV', '{evil}/rc'],
  ['BASH_FUNC_cat%%', '() { touch {evil}/ran; }'],
  ['IFS', '/'],
  ['CDPATH', '{evil}'],
  ['HOME', '{evil}'],
  ['TMPDIR', '{evil}'],
  ['GREETING', 'harmless'],
])('a job that sets %s is refused before anything is started', async (name, value) => {
  const evil = join(state.path, 'evil');
  await mkdir(evil, { recursive: true });
  for (const tool of ['cat', 'sed', 'head', 'rc'])
    await writeFile(join(evil, tool), `#!/bin/sh\n: > ${evil}/ran\n`, { mode: 0o755 });
  const backend = createLocalBackend(
    { ...shippedSettings, stateFolder: join(state.path, 'state') },
    { log: silent },
  );
  for (const image of ['builtin:echo', 'builtin:answer', 'builtin:fail']) {
    const told = await runAttempt(backend, {
      image,
      environment: { [name]: value.replaceAll('{evil}', evil) },
    });
    expect(told.outcome).toMatchObject({
      failure: { code: 'work_invalid', message: expect.stringMatching(/needs a sandbox|no variable/) },
      isolation: null,
      imageExecuted: null,
      startedAt: null,
    });
    expect(told.lines).toEqual([]);
  }
  expect(await readdir(evil)).not.toContainEqual(expect.stringMatching(/^ran/));
});

test('a bare process has exactly the environment that Beacon gives it', async () => {
  const backend = createLocalBackend(settings, { log: silent });
  const told = await runAttempt(backend, { image: 'builtin:script', command: ['env; pwd'] });
  expect(told.outcome.failure, linesOf(told, 'stderr').join('\n')).toBeUndefined();
  const said = outputOf(told)!.trim().split('\n');
  const folder = said.pop()!;
  // Shells add these of their own.
  const given = said.filter((line) => !/^(PWD|OLDPWD|SHLVL|_)=/.test(line));
  expect(given.sort()).toEqual([
    expect.stringMatching(/^BEACON_INPUT=\/.*\/in\/input\.json$/),
    expect.stringMatching(/^BEACON_OUTPUT_DIR=\/.*\/out$/),
    expect.stringMatching(/^BEACON_WORK=/),
    `HOME=${folder}`,
    'PATH=/usr/bin:/bin',
    `TMPDIR=${folder}`,
  ]);
});

test.each([
  [['-rf', '/']],
  [['--help']],
  [['/bin/sh', '-c', 'echo INJECTED']],
  [['$(echo INJECTED)', '`echo INJECTED`']],
  [['1; echo INJECTED']],
  [['a[$(echo INJECTED >&2)]']],
  [['1\n2']],
  [['A=B', 'echo', 'INJECTED']],
])('a command is nothing but arguments of the shipped programs: %j', async (command) => {
  // A path with "=" is a variable to env, and then the first argument would be the program.
  const stateWithEquals = join(state.path, 'a=b');
  const backend = createLocalBackend({ ...shippedSettings, stateFolder: stateWithEquals }, { log: silent });
  const echoed = await runAttempt(backend, { image: 'builtin:echo', command });
  expect(outputOf(echoed), linesOf(echoed, 'stderr').join('\n')).toBe('{"question":"why?"}');
  for (const name of ['sleep', 'fail']) {
    const told = await runAttempt(backend, { image: `builtin:${name}`, command });
    expect(told.outcome).toMatchObject({ exitCode: 2, failure: { code: 'exit_nonzero' } });
    expect(told.lines).toHaveLength(1);
    expect(linesOf(told, 'stderr')[0]).toMatch(/asked for is no number/);
  }
  for (const name of ['answer', 'word-count']) {
    const told = await runAttempt(backend, { image: `builtin:${name}`, command });
    expect(told.outcome.failure).toBeUndefined();
    expect(JSON.stringify(told.lines)).not.toContain('INJECTED');
  }
});

test('an input is nothing but text to the shipped programs', async () => {
  const hostile = [
    '$(touch ran)`touch ran`;touch ran|touch ran&',
    '-n',
    '-e 1e touch ran',
    '%s%n%d %b\\c',
    '( = ) -o !',
    '/e; w ran',
    '"\n"s/x/touch ran/e',
    '\u0000\u001b[31m\\0101',
  ];
  const backend = createLocalBackend(
    { ...shippedSettings, stateFolder: join(state.path, 'state') },
    { log: silent },
  );
  for (const text of hostile) {
    const input = Buffer.from(JSON.stringify({ code: text, seconds: text, model: text, question: text }));
    const answered = await runAttempt(backend, { image: 'builtin:answer', input });
    expect(answered.outcome.failure, linesOf(answered, 'stderr').join('\n')).toBeUndefined();
    expect(JSON.parse(outputOf(answered)!)).toMatchObject({ question: text, model: text });
    const failed = await runAttempt(backend, { image: 'builtin:fail', input });
    expect(failed.outcome.exitCode).toBe(1);
    for (const told of [answered, failed]) expect(told.outcome.files).toEqual([]);
  }
});

describeNeeding('a bare process started by root', process.getuid?.() === 0 ? null : 'not root', () => {
  beforeAll(async () => {
    await mkdir(join(state.path, 'keys'), { mode: 0o700 });
    await writeFile(join(state.path, 'keys', 'receipt.pem'), 'PRIVATE KEY', { mode: 0o600 });
  });

  test('is a user of its own that reads no keys, no environment and writes nowhere', async () => {
    const backend = createLocalBackend(settings, { log: silent });
    const tries: [name: string, script: string][] = [
      ['key file', `cat ${join(state.path, 'keys', 'receipt.pem')}`],
      ['environment of the worker', `cat /proc/${process.pid}/environ`],
      ['environment of the parent', 'cat /proc/$PPID/environ'],
      ['list the state folder', `ls ${state.path}`],
      ['list all jobs', `ls ${join(state.path, 'jobs')}`],
      ['write beside its folder', 'touch "$BEACON_OUTPUT_DIR/../x"'],
      ['write its input', 'echo x >> "$BEACON_INPUT"'],
      ['write its program', 'echo x >> "$0"'],
      ['write to the system', 'touch /etc/x || touch /usr/x || touch /x'],
      ['kill the worker', `kill -0 ${process.pid}`],
      ['gain rights', 'grep -q "NoNewPrivs:.*0" /proc/self/status'],
      ['keep capabilities', 'grep -q "CapEff:.*[1-9a-f]" /proc/self/status'],
      ['keep groups', 'test "$(id -G)" != "$(id -u)"'],
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
  });

  test('is called what it is: no wall, no network limit, no own /tmp', async () => {
    const backend = createLocalBackend(settings, { log: silent });
    const { outcome } = await runAttempt(backend, { image: 'builtin:script', command: ['pwd'] });
    expect(outcome).toMatchObject({ isolation: 'process', limits: { network: null, tmp_bytes: null } });
  });
});
