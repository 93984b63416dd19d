import { mkdir, writeFile } from 'node:fs/promises';
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
import { createLocalBackend, localSettings, programDigests } from './index.ts';

const state = await stateFolder();
const programsFolder = join(state.path, 'own-programs');
await scriptProgram(programsFolder);
const settings = localSettings({
  stateFolder: state.path,
  programsFolder,
  isolation: 'process',
  processDigests: Object.values(await programDigests(programsFolder)),
});
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
