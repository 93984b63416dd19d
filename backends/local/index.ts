import type { AttendedBackend } from '../backend.ts';
import { runAttempt } from './attempt.ts';
import { processIsolation } from './bare-process.ts';
import { WAITS } from './bounds.ts';
import { bubblewrapIsolation } from './bubblewrap.ts';
import { ContainerGroups } from './engine/container-group.ts';
import type { Places } from './cgroup/places.ts';
import { containerIsolation } from './engine/container.ts';
import { findEngine, type Engine } from './engine/engine.ts';
import { RootfsCache } from './image/rootfs.ts';
import type { Isolation } from './isolation.ts';
import { JobUsers } from './job-users.ts';
import { markOf, removeTraces, tracedNames, type Traces } from './leftovers.ts';
import { probeMachine, type Machine, type Missing } from './machine.ts';
import { isMissing, type Ground } from './prepare.ts';
import { stateId as idOf, type LocalSettings } from './settings.ts';

export {
  defaultEngineSockets,
  localSettings,
  shippedProgramsFolder,
  type LocalSettings,
} from './settings.ts';
export { programDigests } from './image/builtin.ts';
export { probeMachine, type Machine, type Missing } from './machine.ts';
export { findEngine, type Engine } from './engine/engine.ts';
export { isMissing } from './prepare.ts';

export interface LocalDeps {
  /** Where control groups are looked for, when not where the kernel shows them. */
  places?: Places;
  log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
}

/**
 * Runs jobs on this machine: in a container, in bubblewrap, or as a bare process where the operator allows it
 * (`LocalSettings.isolation`). What the machine can enforce is tried at first use, and claimed only then.
 */
export function createLocalBackend(settings: LocalSettings, { log, places }: LocalDeps): AttendedBackend {
  const stateId = idOf(settings);
  const mark = (name: string): string => markOf(stateId, name);
  const users = new JobUsers(settings.users);
  const rootfs = new RootfsCache(settings.stateFolder);
  const containerGroups = new ContainerGroups(places);
  const running = new Map<string, AbortController>();

  const machine = remembered<Machine>(
    async () => {
      const found = await probeMachine(settings, places);
      const { bubblewrap, groups } = found;
      if (isMissing(bubblewrap)) log.warn({ ...bubblewrap }, 'no bubblewrap sandbox on this machine');
      log.info(
        { control_groups: groups?.version ?? null, enforced: [...(groups?.enforces ?? [])] },
        'local backend probed',
      );
      return found;
    },
    (found) => !isMissing(found.bubblewrap),
  );
  const engine = remembered<Engine | Missing>(
    () => findEngine(settings.engineSockets),
    (found) => !isMissing(found),
  );

  const ground = async (): Promise<Ground> => {
    const [foundMachine, foundEngine] = await Promise.all([machine(), engine()]);
    return { settings, machine: foundMachine, engine: foundEngine, rootfs };
  };
  const isolation = (kind: Isolation['kind'], { machine: found, engine: holder }: Ground): Isolation => {
    switch (kind) {
      case 'container':
        if (isMissing(holder)) throw new Error(holder.reason);
        return containerIsolation({ engine: holder, groups: containerGroups, stateId });
      case 'bubblewrap':
        if (isMissing(found.bubblewrap)) throw new Error(found.bubblewrap.reason);
        return bubblewrapIsolation({ tools: found.bubblewrap, groups: found.groups, mark });
      case 'process':
        return processIsolation({ tools: found.tools, groups: found.groups, mark });
    }
  };
  const traces = async (): Promise<Traces> => {
    const found = await ground();
    return {
      stateFolder: settings.stateFolder,
      stateId,
      groups: found.machine.groups,
      engine: isMissing(found.engine) ? null : found.engine,
    };
  };

  return {
    kind: 'local',
    async execute(work, step) {
      const released = new AbortController();
      running.set(work.name, released);
      try {
        const signal = AbortSignal.any([step.signal, released.signal]);
        return await runAttempt(work, { ...bound(step), signal }, { ground, isolation, users });
      } finally {
        if (running.get(work.name) === released) running.delete(work.name);
      }
    },
    async release(traced) {
      const names = traced.map(({ name }) => name);
      for (const name of names) running.get(name)?.abort(new Error(`the attempt ${name} was released`));
      const stuck = await removeTraces(await traces(), names);
      if (stuck.length > 0) throw new Error(`processes of ${stuck.join(', ')} do not end`);
    },
    async reap(alive) {
      const found = await traces();
      const dead: string[] = [];
      for (const name of await tracedNames(found))
        if (!running.has(name) && !(await alive(name))) dead.push(name);
      if (dead.length > 0) log.info({ names: dead }, 'leftovers of earlier attempts are removed');
      const stuck = await removeTraces(found, dead);
      if (stuck.length > 0) log.warn({ names: stuck }, 'processes of earlier attempts do not end');
    },
  };
}

type StepOf = Parameters<AttendedBackend['execute']>[1];

/** The step's functions without a need for their object. */
function bound(step: StepOf): StepOf {
  return {
    signal: step.signal,
    budgetMs: step.budgetMs,
    record: (ids) => step.record(ids),
    pinImage: (image, digest) => step.pinImage(image, digest),
    negotiated: (talks) => step.negotiated(talks),
    reserve: (cost) => step.reserve(cost),
    settle: (accepted) => step.settle(accepted),
    heartbeat: (phase) => step.heartbeat(phase),
    log: (line) => step.log(line),
    store: (bytes) => step.store(bytes),
  };
}

/** One look for all; what was missing is looked for again later, what was there stays. */
function remembered<T>(look: () => Promise<T>, found: (value: T) => boolean): () => Promise<T> {
  let current: { value: Promise<T>; staleAt: number } | undefined;
  return () => {
    if (current !== undefined && performance.now() < current.staleAt) return current.value;
    const entry = { value: look(), staleAt: Infinity };
    current = entry;
    entry.value.then(
      (value) => {
        if (!found(value)) entry.staleAt = performance.now() + WAITS.missingRememberedMs;
      },
      () => (entry.staleAt = 0),
    );
    return entry.value;
  };
}
