import type { Engine } from './engine/engine.ts';
import { layoutImage, registryImage } from './engine/images.ts';
import { ENTRY, installProgram, readProgram } from './image/builtin.ts';
import { findLayout, openLayout, type LayoutImage } from './image/layout.ts';
import { pinned, type Wanted } from './image/pinned.ts';
import { parseImage, type ImageReference } from './image/reference.ts';
import type { RootfsCache } from './image/rootfs.ts';
import { INSIDE } from './bubblewrap.ts';
import type { Isolation, Program } from './isolation.ts';
import type { Machine, Missing } from './machine.ts';
import { Refusal } from '../refusal.ts';
import type { LocalSettings } from './settings.ts';

/** Which isolation runs which program, and what the receipt says about the image. */
export interface Prepared {
  isolation: Isolation['kind'];
  program: Program;
  imageExecuted: string;
}

export interface Ground {
  settings: LocalSettings;
  machine: Machine;
  engine: Engine | Missing;
  rootfs: RootfsCache;
}

const HOST_USERLAND = 'none: host userland';

/** Chooses by kind of image and by what the operator prefers and the machine has (spec: core §9). */
export async function prepare(
  image: Wanted,
  command: string[],
  ground: Ground,
  signal: AbortSignal,
): Promise<Prepared> {
  const reference = parseImage(image.name);
  switch (reference.kind) {
    case 'builtin':
      return prepareBuiltin(image, reference.name, command, ground);
    case 'oci':
      return prepareLayout(image, reference, command, ground, signal);
    case 'registry':
      return prepareRegistry(image, reference.reference, command, ground, signal);
  }
}

async function prepareBuiltin(
  image: Wanted,
  name: string,
  command: string[],
  ground: Ground,
): Promise<Prepared> {
  const { settings, machine } = ground;
  const program = await pinned(image, (digest) => readProgram(settings.programsFolder, name, digest));
  const folder = await installProgram(settings.stateFolder, program);
  const listed = settings.processDigests.includes(program.digest);
  const confined = (): Prepared => ({
    isolation: 'bubblewrap',
    program: { kind: 'host', programFolder: folder, argv: [`${INSIDE.program}/${ENTRY}`, ...command] },
    imageExecuted: program.digest,
  });
  const bare = (): Prepared => ({
    isolation: 'process',
    program: { kind: 'host', programFolder: folder, argv: [`${folder}/${ENTRY}`, ...command] },
    imageExecuted: program.digest,
  });
  switch (settings.isolation) {
    case 'container':
      throw new Refusal(
        'sandbox_unavailable',
        'builtin programs have no image to make a container of: set the isolation to auto',
      );
    case 'bubblewrap':
      require(machine.bubblewrap);
      return confined();
    case 'process':
      if (!listed) throw notListed(name, program.digest);
      if (machine.processMissing !== null) require(machine.processMissing);
      return bare();
    case 'auto':
      if (!isMissing(machine.bubblewrap)) return confined();
      if (!listed || machine.processMissing !== null) require(machine.bubblewrap);
      return bare();
  }
}

function notListed(name: string, digest: string): Refusal {
  return new Refusal(
    'program_not_listed',
    `"${name}" (${digest}) is not among the programs that the operator lets run as a bare process`,
  );
}

async function prepareLayout(
  wanted: Wanted,
  reference: Extract<ImageReference, { kind: 'oci' }>,
  command: string[],
  ground: Ground,
  signal: AbortSignal,
): Promise<Prepared> {
  const { settings, machine, engine } = ground;
  const isolation = imageIsolation(ground);
  const folder = await findLayout(settings.imageFolders, reference.path);
  const image = await pinned(wanted, (digest) => openLayout(folder, reference.tag, reference.digest, digest));
  if (isolation === 'container') {
    require(engine);
    const loaded = await layoutImage(engine, image, signal);
    return {
      isolation,
      program: { kind: 'engine', image: loaded.id, argv: command.length > 0 ? command : null },
      imageExecuted: loaded.digest,
    };
  }
  require(machine.bubblewrap);
  return {
    isolation,
    program: {
      kind: 'rootfs',
      rootfs: await ground.rootfs.rootfs(image, signal),
      argv: layoutCommand(image, command),
      environment: image.environment,
      workingFolder: image.workingFolder,
    },
    imageExecuted: image.digest,
  };
}

function layoutCommand(image: LayoutImage, command: string[]): string[] {
  const argv = command.length > 0 ? command : [...image.entrypoint, ...image.command];
  if (argv.length === 0) throw new Refusal('image_invalid', 'neither the job nor the image names a command');
  return argv;
}

/** An engine where there is one, bubblewrap where there is none, and never a bare process for somebody's image. */
function imageIsolation({ settings, engine }: Ground): 'container' | 'bubblewrap' {
  switch (settings.isolation) {
    case 'container':
    case 'bubblewrap':
      return settings.isolation;
    case 'auto':
      return isMissing(engine) ? 'bubblewrap' : 'container';
    case 'process':
      throw new Refusal(
        'sandbox_unavailable',
        'an image cannot run as a bare process: set the isolation to auto',
      );
  }
}

async function prepareRegistry(
  wanted: Wanted,
  reference: string,
  command: string[],
  ground: Ground,
  signal: AbortSignal,
): Promise<Prepared> {
  const { settings, machine, engine } = ground;
  const isolation = imageIsolation(ground);
  if (isolation === 'container') {
    require(engine);
    const image = await pinned(wanted, (digest) => registryImage(engine, reference, digest, signal));
    return {
      isolation,
      program: { kind: 'engine', image: image.id, argv: command.length > 0 ? command : null },
      imageExecuted: image.digest,
    };
  }
  const allowed = settings.hostUserlandImages;
  if (!allowed.includes(reference) && !allowed.includes(withoutTag(reference)))
    throw new Refusal(
      'image_unavailable',
      `${reference} needs a container engine (${isMissing(engine) ? engine.fix : 'the isolation is set to bubblewrap'})`,
    );
  require(machine.bubblewrap);
  if (command.length === 0)
    throw new Refusal(
      'image_unavailable',
      `${reference}: the host's userland stands in for it, which has no command of its own`,
    );
  return {
    isolation,
    program: { kind: 'host', programFolder: null, argv: command },
    imageExecuted: HOST_USERLAND,
  };
}

function withoutTag(reference: string): string {
  const colon = reference.lastIndexOf(':');
  return colon > reference.lastIndexOf('/') ? reference.slice(0, colon) : reference;
}

export function isMissing(found: object): found is Missing {
  return 'fix' in found;
}

function require<T extends object>(found: T | Missing): asserts found is T {
  if (isMissing(found)) throw new Refusal('sandbox_unavailable', `${found.reason}; ${found.fix}`);
}
