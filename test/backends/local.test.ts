import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import {
  createLocalBackend,
  isMissing,
  localSettings,
  probeMachine,
  programDigests,
  type LocalSettings,
} from '../../backends/local/index.ts';
import { describeNeeding } from '../support/needing.ts';
import { busyboxLayout, busyboxMissing } from '../support/oci-layout.ts';
import { podmanMissing, startPodman, type Podman } from '../support/podman.ts';
import { conformance, running } from './conformance.ts';
import { matrix, type Matrix } from './matrix.ts';
import { outputOf, runAttempt, scriptProgram, silent, stateFolder } from './stand.ts';

vi.setConfig({ testTimeout: 120_000 });
const state = await stateFolder();
const toEnd: AsyncDisposable[] = [state];
const programsFolder = join(state.path, 'test-programs');
const imageFolder = join(state.path, 'test-images');
await scriptProgram(programsFolder);
if (busyboxMissing() === null) {
  await busyboxLayout(join(imageFolder, 'busybox'));
  await busyboxLayout(join(state.path, 'outside'));
  for (const [name, damage] of [
    ['damaged', (blob: string) => writeFileSync(blob, 'not what it says')],
    ['halved', (blob: string) => truncateSync(blob, 100_000)],
  ] as const) {
    const { layerDigests } = await busyboxLayout(join(imageFolder, name), 'latest', name);
    damage(join(imageFolder, name, 'blobs', 'sha256', layerDigests[0]!.slice('sha256:'.length)));
  }
}
const base: LocalSettings = localSettings({
  stateFolder: state.path,
  programsFolder,
  imageFolders: [imageFolder],
  processDigests: Object.values(await programDigests(programsFolder)),
  maxMemoryBytes: 1024 ** 3,
});
const machine = await probeMachine(base);
const bubblewrapMissing = isMissing(machine.bubblewrap) ? machine.bubblewrap.reason : null;
const enforced: ReadonlySet<string> = machine.groups?.enforces ?? new Set();
const NOWHERE = { mounts: '/nowhere', processes: '/nowhere' };
afterAll(async () => {
  for (const one of toEnd.reverse()) await one[Symbol.asyncDispose]();
});

const EVERYTHING = new Set(['memory', 'pids', 'cpu', 'time']);
const NOTHING: ReadonlySet<string> = new Set();

interface Stand {
  isolation: 'bubblewrap' | 'process' | 'container';
  image: string;
  engineSockets?: () => Promise<string[]>;
  /** As on a machine that shows no control groups. */
  blind?: boolean;
}

function runner(stand: Stand): Matrix['with'] {
  return async (settings) => {
    const backend = createLocalBackend(
      {
        ...base,
        isolation: stand.isolation,
        ...(stand.engineSockets && { engineSockets: await stand.engineSockets() }),
        ...settings,
      },
      { log: silent, ...(stand.blind === true && { places: NOWHERE }) },
    );
    const shell = stand.image.startsWith('builtin:') ? [] : ['/bin/sh', '-c'];
    return (script, options) =>
      runAttempt(backend, { image: stand.image, command: [...shell, script], ...options?.work }, options);
  };
}

let podman: Promise<Podman> | undefined;
async function podmanSocket(): Promise<string[]> {
  podman ??= startPodman().then((started) => {
    toEnd.push(started);
    return started;
  });
  return [(await podman).socket];
}

const noBuiltin: [string, string] = ['builtin:nobody-has-this', 'image_unavailable'];
const noLayouts: [string, string][] = [
  ['oci:nobody-has-this', 'image_unavailable'],
  ['oci:busybox:no-such-tag', 'image_unavailable'],
  ['oci:../outside', 'image_unavailable'],
  [`oci:busybox@sha256:${'0'.repeat(64)}`, 'image_unavailable'],
  ['oci:damaged:latest', 'image_invalid'],
  ['oci:halved:latest', 'image_invalid'],
];
const inBubblewrap = {
  isolation: 'bubblewrap',
  walled: true,
  badImages: [noBuiltin, ...noLayouts, ['busybox:latest', 'image_unavailable'] as [string, string]],
};

describeNeeding('a builtin in bubblewrap', bubblewrapMissing, () => {
  const stand = runner({ isolation: 'bubblewrap', image: 'builtin:script' });
  conformance({ ...inBubblewrap, tells: enforced }, () => stand({}));
  matrix({ ...inBubblewrap, tells: enforced, badImages: [noBuiltin], stateFolder: state.path, with: stand });
});

describeNeeding('an image layout in bubblewrap', bubblewrapMissing ?? busyboxMissing(), () => {
  const stand = runner({ isolation: 'bubblewrap', image: 'oci:busybox:latest' });
  conformance({ ...inBubblewrap, tells: enforced }, () => stand({}));
  matrix({ ...inBubblewrap, tells: enforced, stateFolder: state.path, with: stand });
});

describeNeeding('a listed builtin as a bare process', machine.processMissing?.reason ?? null, () => {
  const stand = runner({ isolation: 'process', image: 'builtin:script' });
  const shape = { isolation: 'process', walled: false, tells: enforced };
  conformance(shape, () => stand({}));
  matrix({ ...shape, badImages: [noBuiltin], stateFolder: state.path, with: stand });
});

describeNeeding('an image layout in a container', podmanMissing() ?? busyboxMissing(), () => {
  const stand = runner({
    isolation: 'container',
    image: 'oci:busybox:latest',
    engineSockets: podmanSocket,
  });
  const shape = { isolation: 'container', walled: true, tells: EVERYTHING };
  conformance(shape, () => stand({}));
  matrix({
    ...shape,
    badImages: [...noLayouts, ['localhost/nobody/has:this', 'image_unavailable']],
    stateFolder: state.path,
    with: stand,
  });
});

describeNeeding('bubblewrap without control groups', bubblewrapMissing, () => {
  const stand = runner({ isolation: 'bubblewrap', image: 'builtin:script', blind: true });
  matrix({ ...inBubblewrap, tells: NOTHING, badImages: [], stateFolder: state.path, with: stand });

  test('memory is bounded by process only, which is not claimed; processes by the job’s own user', async () => {
    const run = await stand({});
    const memory = await run('head -c 300000000 /dev/zero | tail -c 299999999 > /dev/null || exit 9', {
      work: { resources: { memory: '64Mi' } },
    });
    expect(memory.outcome).toMatchObject({
      failure: { code: 'exit_nonzero' },
      limits: { memory_bytes: null },
    });
    const bomb = await run('i=0; while [ $i -lt 500 ]; do sleep 66.25 & i=$((i+1)); done; echo all; exit 1');
    expect(bomb.outcome.failure).toMatchObject({ code: 'exit_nonzero' });
    if (process.getuid?.() === 0) expect(outputOf(bomb) ?? '').not.toContain('all');
    expect(running('66.25')).toEqual([]);
  });
});

describeNeeding('a container whose control group cannot be seen', podmanMissing() ?? busyboxMissing(), () => {
  const stand = runner({
    isolation: 'container',
    image: 'oci:busybox:latest',
    engineSockets: podmanSocket,
    blind: true,
  });

  test('the engine’s limits hold, and only what the engine tells has a code', async () => {
    const run = await stand({ cpuSeconds: 1 });
    const bomb = await run('i=0; while [ $i -lt 500 ]; do sleep 67.25 & i=$((i+1)); done; echo all; exit 1');
    expect(bomb.outcome).toMatchObject({ failure: { code: 'exit_nonzero' }, limits: { pids: base.pids } });
    expect(outputOf(bomb) ?? '').not.toContain('all');
    const memory = await run('head -c 300000000 /dev/zero | tail -c 299999999 > /dev/null; exit 9', {
      work: { resources: { memory: '64Mi' } },
    });
    expect(memory.outcome).toMatchObject({ failure: { code: 'memory_limit' } });
    const busy = await run('(while :; do :; done); exit $?');
    expect(busy.outcome).toMatchObject({ failure: { code: 'exit_nonzero' }, limits: { cpu_seconds: null } });
  });
});
