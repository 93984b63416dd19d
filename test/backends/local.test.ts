import { join } from 'node:path';
import { afterAll } from 'vitest';
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
import { podmanMissing, startPodman } from '../support/podman.ts';
import { conformance, type RunScript } from './conformance.ts';
import { runAttempt, scriptProgram, silent, stateFolder } from './stand.ts';

const state = await stateFolder();
const toEnd: AsyncDisposable[] = [state];
const programsFolder = join(state.path, 'test-programs');
const imageFolder = join(state.path, 'test-images');
await scriptProgram(programsFolder);
if (busyboxMissing() === null) await busyboxLayout(join(imageFolder, 'busybox'));
const base: LocalSettings = localSettings({
  stateFolder: state.path,
  programsFolder,
  imageFolders: [imageFolder],
  processDigests: Object.values(await programDigests(programsFolder)),
  maxMemoryBytes: 1024 ** 3,
});
const machine = await probeMachine(base);
const bubblewrapMissing = isMissing(machine.bubblewrap) ? machine.bubblewrap.reason : null;
const enforced = machine.groups?.enforces ?? new Set();
afterAll(async () => {
  for (const one of toEnd.reverse()) await one[Symbol.asyncDispose]();
});

const tells = { tellsMemory: enforced.has('memory'), tellsPids: enforced.has('pids') };

function scripts(settings: LocalSettings, image: string): RunScript {
  const backend = createLocalBackend(settings, { log: silent });
  const shell = image.startsWith('builtin:') ? [] : ['/bin/sh', '-c'];
  return (script, options) =>
    runAttempt(backend, { image, command: [...shell, script], ...options?.work }, options);
}

describeNeeding('a builtin in bubblewrap', bubblewrapMissing, () => {
  conformance({ isolation: 'bubblewrap', walled: true, ...tells }, async () =>
    scripts({ ...base, isolation: 'bubblewrap' }, 'builtin:script'),
  );
});

describeNeeding('an image layout in bubblewrap', bubblewrapMissing ?? busyboxMissing(), () => {
  conformance({ isolation: 'bubblewrap', walled: true, ...tells }, async () =>
    scripts({ ...base, isolation: 'bubblewrap' }, 'oci:busybox:latest'),
  );
});

describeNeeding('a listed builtin as a bare process', machine.processMissing?.reason ?? null, () => {
  conformance({ isolation: 'process', walled: false, ...tells }, async () =>
    scripts({ ...base, isolation: 'process' }, 'builtin:script'),
  );
});

describeNeeding('an image layout in a container', podmanMissing() ?? busyboxMissing(), () => {
  // An engine does not tell that it refused a process.
  conformance({ isolation: 'container', walled: true, tellsMemory: true, tellsPids: false }, async () => {
    const podman = await startPodman();
    toEnd.push(podman);
    return scripts({ ...base, isolation: 'container', engineSockets: [podman.socket] }, 'oci:busybox:latest');
  });
});
