import { appendFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { AttendedBackend } from '../../backends/backend.ts';
import {
  createLocalBackend,
  findEngine,
  isMissing,
  localSettings,
  probeMachine,
  programDigests,
  type Engine,
} from '../../backends/local/index.ts';
import { describeNeeding } from '../support/needing.ts';
import { busyboxLayout, busyboxMissing } from '../support/oci-layout.ts';
import { podmanMissing, startPodman } from '../support/podman.ts';
import { startRegistry, type Registry } from '../support/registry.ts';
import { outputOf, runAttempt, scriptProgram, silent, stateFolder } from './stand.ts';

/** A tag, a builtin's name: whatever one attempt of a job found them to be, the others run the same or not at all. */
vi.setConfig({ testTimeout: 120_000 });
const NEVER = `sha256:${'0'.repeat(64)}`;
const state = await stateFolder();
const images = join(state.path, 'test-images');
const programsFolder = join(state.path, 'test-programs');
const base = localSettings({ stateFolder: state.path, imageFolders: [images], programsFolder });
const { bubblewrap } = await probeMachine(base);
const toEnd: AsyncDisposable[] = [state];
afterAll(async () => {
  for (const one of toEnd.reverse()) await one[Symbol.asyncDispose]();
});

/** The image as it was, and as its tag leads to now. */
async function movedTag(name: string): Promise<{ before: string; now: string }> {
  const before = await busyboxLayout(join(images, name), 'latest', `${name} before`);
  const now = await busyboxLayout(join(images, name), 'latest', `${name} now`);
  expect(now.digest).not.toBe(before.digest);
  return { before: before.digest, now: now.digest };
}

function pinsOfLayouts(name: string, backend: () => AttendedBackend): void {
  const image = `oci:${name}:latest`;
  let digests: Awaited<ReturnType<typeof movedTag>>;
  beforeAll(async () => {
    digests = await movedTag(name);
  });

  test('the first attempt says what the tag leads to', async () => {
    const told = await runAttempt(backend(), { image });
    expect(outputOf(told)).toBe(`${name} now\n`);
    expect(told).toMatchObject({ pinned: digests.now, outcome: { imageExecuted: digests.now } });
  });

  test('a later one runs what the job began with, wherever the tag leads by now', async () => {
    const told = await runAttempt(backend(), { image, imageDigest: digests.before });
    expect(outputOf(told)).toBe(`${name} before\n`);
    expect(told).toMatchObject({
      pinned: null,
      outcome: { imageRequested: image, imageExecuted: digests.before },
    });
  });

  test('one that was slower than another runs what that one found', async () => {
    const told = await runAttempt(backend(), { image }, { pinnedMeanwhile: digests.before });
    expect(outputOf(told)).toBe(`${name} before\n`);
    expect(told).toMatchObject({ pinned: digests.now, outcome: { imageExecuted: digests.before } });
  });

  test('where that image is not, nothing runs', async () => {
    for (const options of [{ pinnedMeanwhile: NEVER }, {}]) {
      const imageDigest = 'pinnedMeanwhile' in options ? null : NEVER;
      const { outcome } = await runAttempt(backend(), { image, imageDigest }, options);
      expect(outcome).toMatchObject({
        failure: { code: 'image_unavailable', message: expect.stringContaining(NEVER) },
        imageExecuted: null,
        startedAt: null,
      });
    }
  });
}

describeNeeding('layouts in bubblewrap', isMissing(bubblewrap) ? bubblewrap.reason : busyboxMissing(), () => {
  const backend = createLocalBackend({ ...base, isolation: 'bubblewrap' }, { log: silent });
  pinsOfLayouts('wrapped', () => backend);
});

describeNeeding('builtins', isMissing(bubblewrap) ? bubblewrap.reason : null, () => {
  test('a program that was changed since is not run in its place', async () => {
    await scriptProgram(programsFolder);
    const backend = createLocalBackend({ ...base, isolation: 'bubblewrap' }, { log: silent });
    const work = { image: 'builtin:script', command: ['echo ran'] };
    const first = await runAttempt(backend, work);
    const { script } = await programDigests(programsFolder);
    expect(first).toMatchObject({ pinned: script, outcome: { imageExecuted: script } });
    await appendFile(join(programsFolder, 'script', 'run'), '\n# changed\n');
    expect((await runAttempt(backend, work)).outcome.imageExecuted).not.toBe(script);
    const { outcome } = await runAttempt(backend, { ...work, imageDigest: script! });
    expect(outcome).toMatchObject({
      failure: { code: 'image_unavailable', message: expect.stringContaining(script!) },
      startedAt: null,
    });
  });
});

describeNeeding('containers', podmanMissing() ?? busyboxMissing(), () => {
  let registry: Registry;
  let engine: Engine;
  let backend: AttendedBackend;
  let image: string;
  let before: string;
  let now: string;
  const dropImages = async (): Promise<void> => {
    for (const { Id } of await engine.docker.listImages({ all: true }))
      await engine.docker.getImage(Id).remove({ force: true });
  };

  beforeAll(async () => {
    registry = await startRegistry();
    toEnd.push(registry);
    const podman = await startPodman({ registry: registry.address });
    toEnd.push(podman);
    const settings = { ...base, isolation: 'container' as const, engineSockets: [podman.socket] };
    backend = createLocalBackend(settings, { log: silent });
    const found = await findEngine(settings.engineSockets);
    if (isMissing(found)) throw new Error(found.reason);
    engine = found;
    image = `${registry.address}/team/answers:latest`;
    before = (await busyboxLayout(join(state.path, 'pushed-1'), 'latest', 'before')).digest;
    now = (await busyboxLayout(join(state.path, 'pushed-2'), 'latest', 'now')).digest;
    registry.put('team/answers', 'latest', join(state.path, 'pushed-1'), before);
  });

  pinsOfLayouts('contained', () => backend);

  test('a tag is pulled, and the digest is the one that the registry gave', async () => {
    const told = await runAttempt(backend, { image });
    expect(told.outcome.failure).toBeUndefined();
    expect(outputOf(told)).toBe('before\n');
    expect(told).toMatchObject({
      pinned: before,
      outcome: { imageRequested: image, imageExecuted: before },
    });
    expect(registry.asked).toContain('manifests/latest');
  });

  test('where the tag has moved meanwhile, the digest of the job is pulled', async () => {
    registry.put('team/answers', 'latest', join(state.path, 'pushed-2'), now);
    await dropImages();
    registry.asked.length = 0;
    const told = await runAttempt(backend, { image, imageDigest: before });
    expect(told.outcome.failure).toBeUndefined();
    expect(outputOf(told)).toBe('before\n');
    expect(told.outcome.imageExecuted).toBe(before);
    expect(registry.asked).not.toContain('manifests/latest');
    expect(registry.asked).toContain(`manifests/${before}`);
  });

  test('an attempt that found the new one and was slower goes back to the job’s', async () => {
    await dropImages();
    const told = await runAttempt(backend, { image }, { pinnedMeanwhile: before });
    expect(outputOf(told)).toBe('before\n');
    expect(told).toMatchObject({ pinned: now, outcome: { imageExecuted: before } });
    // Both are there now; the tag is the new one's.
    expect(outputOf(await runAttempt(backend, { image }))).toBe('now\n');
    expect(outputOf(await runAttempt(backend, { image, imageDigest: before }))).toBe('before\n');
  });

  test('an image named by its digest is that, and its tag is not asked for', async () => {
    await dropImages();
    const exact = `${registry.address}/team/answers@${before}`;
    const told = await runAttempt(backend, { image: exact });
    expect(outputOf(told)).toBe('before\n');
    expect(told.outcome).toMatchObject({ imageRequested: exact, imageExecuted: before });
  });

  test('an image that the engine was given without a registry is told by its id', async () => {
    const [held] = await engine.docker.listImages();
    await engine.docker.getImage(held!.Id).tag({ repo: 'localhost/own/image', tag: 'dev' });
    const told = await runAttempt(backend, { image: 'localhost/own/image:dev' });
    expect(told.outcome.failure).toBeUndefined();
    const { pinned } = told;
    const again = await runAttempt(backend, { image: 'localhost/own/image:dev', imageDigest: pinned });
    expect(again.outcome).toMatchObject({ imageExecuted: pinned });
  });

  test('what the registry no longer has is unavailable, and says what the job needs', async () => {
    await dropImages();
    for (const imageDigest of [null, before]) {
      await rm(join(state.path, imageDigest === null ? 'nothing' : 'pushed-1'), {
        recursive: true,
        force: true,
      });
      const gone = imageDigest === null ? `${registry.address}/team/none:latest` : image;
      const { outcome } = await runAttempt(backend, { image: gone, imageDigest });
      expect(outcome).toMatchObject({
        failure: { code: 'image_unavailable', message: expect.stringContaining(imageDigest ?? 'none') },
        imageExecuted: null,
      });
    }
  });
});
