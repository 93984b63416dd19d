import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type {
  AttendedBackend,
  Outcome,
  OutputLine,
  Reserved,
  Step,
  Talks,
  Work,
} from '../../backends/backend.ts';

/** What one attempt left behind, as the worker would see it. */
export interface Told {
  outcome: Outcome;
  lines: OutputLine[];
  stored: Map<string, Buffer>;
  recorded: Record<string, string>;
  phases: string[];
  /** What the attempt said its image is. */
  pinned: string | null;
  /** With providers. */
  talks: Talks[];
}

export interface AttemptOptions {
  budgetMs?: number;
  signal?: AbortSignal;
  work?: Partial<Work>;
  /** Digest that another attempt of the job was faster to pin. */
  pinnedMeanwhile?: string;
  /** Called with all ids whenever some are recorded, and waited for. */
  onRecord?: (ids: Record<string, string>) => Promise<void>;
  /** What of the job's budget is held; all that is asked for when absent. */
  onReserve?: (cap: string) => Reserved;
  onSettle?: (accepted: string | null) => void;
  /** Called with every phase as it begins. */
  onPhase?: (phase: string) => void;
  /** Called with every line as it comes. */
  onLine?: (line: OutputLine) => void;
}

/** Far more than any program of a test needs, also on a machine that does ten other things. */
export const BUDGET_MS = 90_000;

let attempts = 0;

/** Runs one attempt with everything kept in memory. */
export async function runAttempt(
  backend: AttendedBackend,
  work: Partial<Work> & Pick<Work, 'image'>,
  options: AttemptOptions = {},
): Promise<Told> {
  const lines: OutputLine[] = [];
  const stored = new Map<string, Buffer>();
  const recorded: Record<string, string> = {};
  const phases: string[] = [];
  const talks: Talks[] = [];
  let pinned: string | null = null;
  const step: Step = {
    async pinImage(_image, digest) {
      pinned = digest;
      return options.pinnedMeanwhile ?? digest;
    },
    negotiated: async (told) => void talks.push(told),
    reserve: async ({ cap }) => options.onReserve?.(cap) ?? { ok: true },
    settle: async (accepted) => options.onSettle?.(accepted),
    signal: options.signal ?? new AbortController().signal,
    budgetMs: options.budgetMs ?? BUDGET_MS,
    async record(ids) {
      Object.assign(recorded, ids);
      await options.onRecord?.(recorded);
    },
    heartbeat: (phase) => {
      phases.push(phase);
      options.onPhase?.(phase);
    },
    log: (line) => {
      lines.push(line);
      options.onLine?.(line);
    },
    async store(bytes) {
      const parts: Uint8Array[] = [];
      if (bytes instanceof Uint8Array) parts.push(bytes);
      else for await (const part of bytes) parts.push(part);
      const whole = Buffer.concat(parts);
      const sha256 = createHash('sha256').update(whole).digest('hex');
      stored.set(sha256, whole);
      return { sha256, size: whole.length };
    },
  };
  const outcome = await backend.execute(newWork(work), step);
  return { outcome, lines, stored, recorded, phases, pinned, talks };
}

export function newWork(work: Partial<Work> & Pick<Work, 'image'>): Work {
  attempts++;
  return {
    executionId: `test-${process.pid}-${attempts}`,
    attempt: 1,
    name: `test-${process.pid}-${attempts}-1`,
    region: 'EU',
    imageDigest: null,
    command: [],
    environment: {},
    resources: {},
    asked: { regionPolicy: null, maxCost: null, providers: [] },
    input: Buffer.from('{"question":"why?"}'),
    ...work,
  };
}

/** The bytes of the output, as text. */
export function outputOf({ outcome, stored }: Told): string | null {
  return outcome.output === null ? null : stored.get(outcome.output.sha256)!.toString('latin1');
}

export function linesOf({ lines }: Told, source: OutputLine['source']): string[] {
  return lines.filter((line) => line.source === source).map((line) => line.line);
}

/** A state folder that jobs may pass through, gone at the end. */
export async function stateFolder(): Promise<{ path: string; [Symbol.asyncDispose](): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'beacon-local-'));
  await chmod(path, 0o711);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A builtin that runs whatever script a test hands it; it exists in tests only. */
export async function scriptProgram(programsFolder: string): Promise<void> {
  await mkdir(join(programsFolder, 'script'), { recursive: true });
  await writeFile(join(programsFolder, 'script', 'run'), '#!/bin/sh\nexec /bin/sh -c "$@"\n');
}

export const silent = { info: () => undefined, warn: () => undefined };
