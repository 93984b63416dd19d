import { mkdir, readdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { Connection } from '@temporalio/client';
import { z } from 'zod';
import { EmbeddedError, reasonOf } from '../failure.ts';
import { PORT_TRIES, TEMPORAL_READY_MS, TEMPORAL_STOP_MS } from '../limits.ts';
import { sizeOf, tailOf } from '../log-file.ts';
import { freePort } from '../port.ts';
import { rememberedIn, writePrivate } from '../private-file.ts';
import type { ProcessIdentity, StopStep } from '../process-identity.ts';
import { type Progress, silentProgress } from '../progress.ts';
import { type ServiceProcess, startService } from '../service-process.ts';
import type { Running } from '../supervise.ts';
import { waitUntil } from '../wait-until.ts';

export interface TemporalOptions {
  binary: string;
  /** Holds the database and the remembered ports; null keeps everything in memory (tests). */
  folder: string | null;
  logFile: string;
  /** The Web UI; default: with a folder. */
  ui?: boolean;
  /** Called as soon as there is a process, before it is ready. */
  onSpawn?: (identity: ProcessIdentity) => void;
  progress?: Progress;
  signal?: AbortSignal | undefined;
}

export interface EmbeddedTemporal extends Running, AsyncDisposable {
  /** host:port of the gRPC service. */
  address: string;
  namespace: string;
  uiUrl: string | null;
}

export const temporalStopSteps: readonly StopStep[] = [{ signal: 'SIGTERM', graceMs: TEMPORAL_STOP_MS }];

/** How long a server lives at most that could not bind its port. */
const PORT_LOST_MS = 300;
const NAMESPACE = 'default';
const LOOPBACK = '127.0.0.1';
/** Where Temporal's own tools look first; taken when free. */
const USUAL = { grpc: 7233, http: 7243, ui: 8233, metrics: 0 };

const port = z.number().int().min(1).max(65_535);
const portsFile = z.object({ grpc: port, http: port, ui: port, metrics: port });
type Ports = z.infer<typeof portsFile>;

async function choosePorts(known: Ports | undefined, fresh: boolean, progress: Progress): Promise<Ports> {
  const wanted = known ?? (fresh ? { grpc: 0, http: 0, ui: 0, metrics: 0 } : USUAL);
  const ports: Ports = { ...wanted };
  const taken: number[] = [];
  for (const name of ['grpc', 'ui', 'http', 'metrics'] as const) {
    ports[name] = await freePort(wanted[name] === 0 ? undefined : wanted[name], taken);
    taken.push(ports[name]);
    if (wanted[name] !== 0 && ports[name] !== wanted[name])
      progress.say(`Temporal: ${name} port ${wanted[name]} is taken, using ${ports[name]}`);
  }
  return ports;
}

const words = (ports: Ports, ui: boolean, database: string | null): string[] => [
  ...['server', 'start-dev', '--ip', LOOPBACK, '--port', String(ports.grpc)],
  ...['--http-port', String(ports.http), '--metrics-port', String(ports.metrics)],
  ...(ui ? ['--ui-ip', LOOPBACK, '--ui-port', String(ports.ui)] : ['--headless']),
  ...['--log-level', 'error', '--log-format', 'json'],
  ...['--dynamic-config-value', 'system.enableActivityEagerExecution=true'],
  // Tasks of all keys in turn: a job does not wait for everything that another key has open (docs/decisions.md).
  ...['--dynamic-config-value', 'matching.enableFairness=true'],
  ...(database === null
    ? []
    : [
        ...['--db-filename', database],
        // The default journal halves the throughput (spec/temporal-localhost.md §4); a lost last second is what the
        // reconciler mends.
        ...['--sqlite-pragma', 'journal_mode=wal', '--sqlite-pragma', 'synchronous=normal'],
      ]),
];

/** The caller's TEMPORAL_* settings are for clients of another server. */
const cleanEnv = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('TEMPORAL_')));

async function answers(address: string): Promise<boolean> {
  let connection: Connection | undefined;
  try {
    connection = await Connection.connect({ address, connectTimeout: '1 second' });
    await connection.withDeadline(Date.now() + 2_000, () =>
      connection!.workflowService.describeNamespace({ namespace: NAMESPACE }),
    );
    return true;
  } catch {
    return false;
  } finally {
    await connection?.close().catch(() => undefined);
  }
}

/** Starts the dev server and waits until its namespace answers. A database that was thrown away is made anew. */
export async function startTemporal(options: TemporalOptions): Promise<EmbeddedTemporal> {
  const { binary, folder, logFile, ui = folder !== null, progress = silentProgress, signal } = options;
  if (folder !== null) await mkdir(folder, { recursive: true, mode: 0o700 });
  const portsPath = folder === null ? null : path.join(folder, 'ports.json');
  let known = portsPath === null ? undefined : await rememberedIn(portsPath, portsFile, progress);
  const database = folder === null ? null : path.join(folder, 'temporal.db');
  for (let tries = 1; ; tries++) {
    const ports = await choosePorts(known, folder === null || tries > 1, progress);
    if (portsPath !== null) await writePrivate(portsPath, `${JSON.stringify(ports)}\n`);
    const since = await sizeOf(logFile);
    const service = startService({
      program: binary,
      words: words(ports, ui, database),
      cwd: folder ?? path.dirname(logFile),
      env: cleanEnv(),
      logFile,
    });
    if (service.identity !== null) options.onSpawn?.(service.identity);
    const address = `${LOOPBACK}:${ports.grpc}`;
    try {
      await untilReady(service, address, progress, signal);
      if (service.identity === null) throw new EmbeddedError('temporal_not_ready', 'Temporal has no process');
      return {
        address,
        namespace: NAMESPACE,
        uiUrl: ui ? `http://${LOOPBACK}:${ports.ui}` : null,
        identity: service.identity,
        ended: service.ended,
        stop: (force) => service.stop(temporalStopSteps, force),
        [Symbol.asyncDispose]: () => service.stop(temporalStopSteps),
      };
    } catch (error) {
      await service.stop(temporalStopSteps);
      signal?.throwIfAborted();
      const said = await tailOf(logFile, LAST_WORDS_BYTES, since);
      if (tries < PORT_TRIES && /address already in use|can't set .* port/.test(said)) {
        known = undefined;
        continue;
      }
      if (tries < PORT_TRIES && folder !== null && isBroken(said)) {
        await moveDatabaseAway(folder);
        progress.say(
          'Temporal: its database is damaged; moved it away and started anew (jobs are put back by Beacon)',
        );
        continue;
      }
      const lines = said.trim().split('\n');
      const reason = lines.find((line) => /panic|error/i.test(line)) ?? lines.at(-1) ?? '';
      throw new EmbeddedError(
        'temporal_not_ready',
        `Temporal did not start: ${reason || reasonOf(error)} (log: ${logFile})`,
        { cause: error },
      );
    }
  }
}

/** A crash ends in the stacks of all goroutines; its reason stands before them. */
const LAST_WORDS_BYTES = 256 * 1024;

const isBroken = (said: string): boolean =>
  /file is not a database|disk image is malformed|malformed database/.test(said);

/** PostgreSQL holds the truth; Temporal's database can be made anew from it. One damaged copy is kept. */
async function moveDatabaseAway(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (/^temporal\.db(-wal|-shm|-journal)?$/.test(name))
      await rename(path.join(folder, name), path.join(folder, `damaged-${name}`));
  }
}

async function untilReady(
  service: ServiceProcess,
  address: string,
  progress: Progress,
  signal?: AbortSignal,
): Promise<void> {
  const began = performance.now();
  const ready = await waitUntil(
    async () => {
      if (service.hasEnded()) throw new EmbeddedError('temporal_not_ready', await service.ended);
      const seconds = Math.round((performance.now() - began) / 1000);
      if (seconds > 3) progress.update(`Temporal: starting, ${seconds} s`);
      return answers(address);
    },
    { timeoutMs: TEMPORAL_READY_MS, everyMs: 100, signal },
  );
  // Another server may answer under a port that ours could not have: then ours ends in a moment.
  if (ready) await waitUntil(() => service.hasEnded(), { timeoutMs: PORT_LOST_MS, everyMs: 50, signal });
  if (service.hasEnded()) throw new EmbeddedError('temporal_not_ready', await service.ended);
  if (!ready) throw new EmbeddedError('temporal_not_ready', `no answer within ${TEMPORAL_READY_MS / 1000} s`);
}
