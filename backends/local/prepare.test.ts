import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { scriptProgram, stateFolder } from '../../test/backends/stand.ts';
import { programDigests } from './image/builtin.ts';
import { parseImage } from './image/reference.ts';
import { RootfsCache } from './image/rootfs.ts';
import type { Machine, Missing } from './machine.ts';
import { prepare, type Ground } from './prepare.ts';
import { localSettings, type LocalSettings } from './settings.ts';

const state = await stateFolder();
afterAll(() => state[Symbol.asyncDispose]());
const programsFolder = join(state.path, 'own-programs');
await scriptProgram(programsFolder);
const digest = (await programDigests(programsFolder)).script!;

const missing: Missing = { reason: 'it is not installed', fix: 'install it' };
const tools = { bwrap: '/usr/bin/bwrap', prlimit: null, setpriv: null, disableUserns: true };

function ground(settings: Partial<LocalSettings>, bubblewrap: Machine['bubblewrap'] = tools): Ground {
  return {
    settings: localSettings({ stateFolder: state.path, programsFolder, ...settings }),
    machine: { tools, groups: null, bubblewrap, processMissing: null },
    engine: missing,
    rootfs: new RootfsCache(state.path),
  };
}
const pin = (digest: string): Promise<string> => Promise.resolve(digest);
const chosen = (image: string, on: Ground): Promise<unknown> =>
  prepare({ name: image, digest: null, pin }, [], on, new AbortController().signal).then(
    ({ isolation }) => isolation,
    (error: unknown) => (error as { failure?: object }).failure,
  );

test('a builtin runs in bubblewrap where there is one, else bare if it is listed, else not at all', async () => {
  expect(await chosen('builtin:script', ground({}))).toBe('bubblewrap');
  expect(await chosen('builtin:script', ground({ processDigests: [digest] }))).toBe('bubblewrap');
  expect(await chosen('builtin:script', ground({ processDigests: [digest] }, missing))).toBe('process');
  expect(await chosen('builtin:script', ground({}, missing))).toMatchObject({
    code: 'sandbox_unavailable',
    message: 'it is not installed; install it',
  });
});

test('what the operator prefers is never exchanged for less', async () => {
  expect(
    await chosen('builtin:script', ground({ isolation: 'bubblewrap', processDigests: [digest] }, missing)),
  ).toMatchObject({
    code: 'sandbox_unavailable',
  });
  expect(await chosen('builtin:script', ground({ isolation: 'container' }))).toMatchObject({
    code: 'sandbox_unavailable',
  });
  expect(await chosen('oci:x', ground({ isolation: 'container' }))).toMatchObject({
    code: 'image_unavailable',
  });
});

test('a registry image without an engine says what would help', async () => {
  expect(await chosen('busybox:latest', ground({}))).toMatchObject({
    code: 'image_unavailable',
    message: 'busybox:latest needs a container engine (install it)',
  });
});

test('image names are one of three kinds, and everything else is refused', () => {
  expect(parseImage('builtin:answer')).toEqual({ kind: 'builtin', name: 'answer' });
  expect(parseImage('builtin:answer:latest')).toEqual({ kind: 'builtin', name: 'answer' });
  expect(parseImage('oci:images/busybox:1.36')).toEqual({
    kind: 'oci',
    path: 'images/busybox',
    tag: '1.36',
    digest: null,
  });
  expect(parseImage('oci:/a:b/c')).toEqual({ kind: 'oci', path: '/a:b/c', tag: null, digest: null });
  const digestOf = `sha256:${'a'.repeat(64)}`;
  expect(parseImage(`oci:x@${digestOf}`)).toEqual({ kind: 'oci', path: 'x', tag: null, digest: digestOf });
  expect(parseImage('ghcr.io/a/b:c')).toEqual({ kind: 'registry', reference: 'ghcr.io/a/b:c' });
  for (const bad of [
    'builtin:../etc',
    'builtin:',
    'oci:x@sha256:short',
    '-rm',
    'a b',
    'a/../b',
    'http://a.b/c',
    '',
  ])
    expect(() => parseImage(bad)).toThrow();
});
