import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newWork, outputOf, runAttempt, silent, stateFolder } from '../../../test/backends/stand.ts';
import { eventually } from '../../../test/support/eventually.ts';
import { describeNeeding } from '../../../test/support/needing.ts';
import { busyboxLayout, busyboxMissing, type BuiltLayout } from '../../../test/support/oci-layout.ts';
import { podmanMissing, startPodman, type Podman } from '../../../test/support/podman.ts';
import {
  createLocalBackend,
  findEngine,
  isMissing,
  localSettings,
  type Engine,
  type LocalSettings,
} from '../index.ts';

describeNeeding('containers through a Docker-compatible socket', podmanMissing() ?? busyboxMissing(), () => {
  let podman: Podman;
  let state: Awaited<ReturnType<typeof stateFolder>>;
  let settings: LocalSettings;
  let layout: BuiltLayout;
  let engine: Engine;

  beforeAll(async () => {
    podman = await startPodman();
    state = await stateFolder();
    const images = join(state.path, 'layouts');
    layout = await busyboxLayout(join(images, 'busybox'));
    settings = localSettings({
      stateFolder: state.path,
      imageFolders: [images],
      engineSockets: ['/nowhere.sock', podman.socket],
    });
    const found = await findEngine(settings.engineSockets);
    if (isMissing(found)) throw new Error(found.reason);
    engine = found;
  });
  afterAll(async () => {
    await podman[Symbol.asyncDispose]();
    await state[Symbol.asyncDispose]();
  });

  test('an engine is preferred for images, and the receipt names the manifest that the layout holds', async () => {
    const backend = createLocalBackend(settings, { log: silent });
    const told = await runAttempt(backend, { image: 'oci:busybox:latest', command: [] });
    expect(told.outcome.failure).toBeUndefined();
    expect(outputOf(told)).toBe('from the image\n');
    expect(told.outcome).toMatchObject({ isolation: 'container', imageExecuted: layout.digest });
    expect(told.recorded.container).toMatch(/^[0-9a-f]{64}$/);
  });

  test('a registry reference that the engine holds runs under its digest; one that nobody has is unavailable', async () => {
    const backend = createLocalBackend(settings, { log: silent });
    await runAttempt(backend, { image: 'oci:busybox:latest', command: ['true'] });
    const [held] = await engine.docker.listImages();
    const reference = held!.RepoTags![0]!;
    const told = await runAttempt(backend, { image: reference, command: ['echo', 'held'] });
    expect(told.outcome.failure).toBeUndefined();
    expect(told.outcome.imageExecuted).toMatch(/^sha256:[0-9a-f]{64}$/);
    const absent = await runAttempt(backend, { image: 'localhost/nobody/has:this', command: ['true'] });
    expect(absent.outcome.failure).toMatchObject({ code: 'image_unavailable' });
  });

  test('a command that the image does not have ends with 127', async () => {
    const backend = createLocalBackend(settings, { log: silent });
    const told = await runAttempt(backend, { image: 'oci:busybox:latest', command: ['/no/such/program'] });
    expect(told.outcome).toMatchObject({ exitCode: 127, failure: { code: 'exit_nonzero' } });
  });

  test('another worker finds and ends the container of a lost attempt, and its name is free again', async () => {
    const work = newWork({ image: 'oci:busybox:latest', command: ['sh', '-c', 'echo begun; sleep 300'] });
    const lines: string[] = [];
    const first = runAttempt(createLocalBackend(settings, { log: silent }), work, {
      onLine: ({ line }) => lines.push(line),
    });
    await eventually(() => lines.includes('begun') || undefined);
    await createLocalBackend(settings, { log: silent }).release([{ name: work.name, ids: {} }]);
    expect((await first).outcome.failure).toBeDefined();
    expect(await engine.docker.listContainers({ all: true })).toEqual([]);
    const again = await runAttempt(createLocalBackend(settings, { log: silent }), {
      ...work,
      command: ['echo', 'again'],
    });
    expect(outputOf(again)).toBe('again\n');
  });

  test('a leftover under the same name does not stop the attempt', async () => {
    const work = newWork({ image: 'oci:busybox:latest', command: ['echo', 'mine'] });
    const backend = createLocalBackend(settings, { log: silent });
    await runAttempt(backend, { image: work.image, command: ['true'] });
    const [held] = await engine.docker.listImages();
    await engine.docker.createContainer({
      name: work.name,
      Image: held!.Id,
      Entrypoint: ['sleep'],
      Cmd: ['300'],
    });
    expect(outputOf(await runAttempt(backend, work))).toBe('mine\n');
    expect(await engine.docker.listContainers({ all: true })).toEqual([]);
  });

  test('an engine that never tells of memory, as Podman 4 comes, does not hide it', async () => {
    const unmended = await startPodman({ mended: false });
    try {
      const backend = createLocalBackend({ ...settings, engineSockets: [unmended.socket] }, { log: silent });
      const told = await runAttempt(backend, {
        image: 'oci:busybox:latest',
        command: ['sh', '-c', 'head -c 300000000 /dev/zero | tail -c 299999999 > /dev/null; exit 9'],
        resources: { memory: '64Mi' },
      });
      expect(told.outcome).toMatchObject({
        failure: { code: 'memory_limit' },
        limits: { memory_bytes: 64 * 2 ** 20 },
      });
    } finally {
      await unmended[Symbol.asyncDispose]();
    }
  });
});
