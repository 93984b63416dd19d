import { once } from 'node:events';
import type { ActivityApi } from 'ya-ts-client';
import { z } from 'zod';
import type { Clock } from './clock.ts';
import type { ExeUnit } from './exe-unit.ts';
import type { Provider } from './provider.ts';
import type { FaultStage, ProviderFault } from './provider-faults.ts';
import { createWake, type Wake } from './wake.ts';

type Result = ActivityApi.ExeScriptCommandResultDTO;

const captureMode = z
  .object({
    atEnd: z
      .object({
        part: z
          .object({
            head: z.number().optional(),
            tail: z.number().optional(),
            headTail: z.number().optional(),
          })
          .optional(),
        format: z.enum(['string', 'binary']).optional(),
      })
      .optional(),
    stream: z
      .object({ limit: z.number().optional(), format: z.enum(['string', 'binary']).optional() })
      .optional(),
  })
  .optional();
const command = z.union([
  z.object({ deploy: z.object({}).loose() }),
  z.object({ start: z.object({}).loose() }),
  z.object({
    run: z.object({
      entry_point: z.string(),
      args: z.array(z.string()).optional(),
      capture: z.object({ stdout: captureMode, stderr: captureMode }).optional(),
    }),
  }),
  z.object({ transfer: z.object({ from: z.string(), to: z.string() }) }),
  z.object({ terminate: z.object({}).loose() }),
]);
export const commands = z.array(command).min(1);
type Command = z.infer<typeof command>;

/** One entry of the event stream; its names have underscores on the wire, other than the DTO says. */
export interface RuntimeEvent {
  batch_id: string;
  index: number;
  timestamp: string;
  kind: Record<string, unknown>;
}

export interface Batch {
  readonly id: string;
  readonly results: Result[];
  readonly events: RuntimeEvent[];
  finished: boolean;
  readonly changed: Wake;
}

export interface BatchParts {
  clock: Clock;
  provider: Provider;
  unit: ExeUnit;
  /** A stage was reached, as the activity's state tells it. */
  reached(state: 'Deployed' | 'Ready' | 'Terminated'): void;
  leave(fault: LeaveFault): void;
  /** The provider itself worked so long: on an image or a program, not on what it fetches from the requestor. */
  worked(ms: number): void;
  /** Fires when the activity is over: what hangs, hangs until then. */
  over: AbortSignal;
}

export type LeaveFault =
  Extract<ProviderFault, { at: 'run'; do: 'die' | 'terminate' }> | { do: 'die' | 'terminate' };

export const createBatch = (id: string): Batch => ({
  id,
  results: [],
  events: [],
  finished: false,
  changed: createWake(),
});

/** Runs the commands one after another; the first that fails ends the batch. */
export async function runBatch(batch: Batch, script: Command[], parts: BatchParts): Promise<void> {
  const stamp = () => parts.clock.stamp(parts.provider.script.clockSkewMs);
  for (const [index, one] of script.entries()) {
    const emit = (kind: Record<string, unknown>) => {
      batch.events.push({ batch_id: batch.id, index, timestamp: stamp(), kind });
      batch.changed.wake();
    };
    emit({ started: { command: one } });
    const outcome = await perform(one, parts, (stream, text) => emit({ [stream]: text }));
    if (outcome === null) return;
    const last = outcome.code !== 0 || index === script.length - 1;
    emit({ finished: { return_code: outcome.code, message: outcome.message ?? null } });
    batch.results.push({
      index,
      eventDate: stamp(),
      result: outcome.code === 0 ? 'Ok' : 'Error',
      ...(outcome.stdout === undefined ? {} : { stdout: outcome.stdout, stderr: outcome.stderr ?? '' }),
      ...(outcome.message === undefined ? {} : { message: outcome.message }),
      isBatchFinished: last,
    });
    batch.finished = last;
    batch.changed.wake();
    if (last) return;
  }
}

interface Outcome {
  code: number;
  stdout?: string;
  stderr?: string;
  message?: string;
}

type Said = (stream: 'stdout' | 'stderr', text: string) => void;

/** Null when the provider is gone and nothing is said any more. */
async function perform(one: Command, parts: BatchParts, said: Said): Promise<Outcome | null> {
  const stage = stageOf(one);
  const fault = stage === null ? null : parts.provider.faults.take(stage);
  if (fault?.do === 'hang') {
    if (!parts.over.aborted) await once(parts.over, 'abort');
    return null;
  }
  if (fault?.do === 'die' || fault?.do === 'terminate') {
    parts.leave(fault);
    if (fault.afterMs === undefined || fault.afterMs === 0) return null;
  }
  if (fault?.do === 'error') return { code: 1, message: fault.message ?? 'Transfer error: HTTP error' };
  try {
    const outcome = await really(one, parts, said);
    return fault?.do === 'fail' ? exited(fault.exit ?? 1, outcome) : outcome;
  } catch (error) {
    return { code: 1, message: error instanceof Error ? error.message : String(error) };
  }
}

function stageOf(one: Command): Extract<FaultStage, 'deploy' | 'run' | 'transfer'> | null {
  if ('deploy' in one) return 'deploy';
  if ('run' in one) return 'run';
  return 'transfer' in one ? 'transfer' : null;
}

async function really(one: Command, parts: BatchParts, said: Said): Promise<Outcome> {
  if ('transfer' in one) {
    await parts.unit.transfer(one.transfer.from, one.transfer.to);
    return { code: 0 };
  }
  const began = performance.now();
  try {
    return await alone(one, parts, said);
  } finally {
    parts.worked(performance.now() - began);
  }
}

/** What needs nothing of the requestor. */
async function alone(
  one: Exclude<Command, { transfer: object }>,
  parts: BatchParts,
  said: Said,
): Promise<Outcome> {
  if ('deploy' in one) {
    await new Promise((resolve) => setTimeout(resolve, parts.provider.speed.deployMs));
    await parts.unit.deploy();
    parts.reached('Deployed');
    return { code: 0, stdout: '{"valid":{"Ok":""},"vols":[],"startMode":"blocking"}' };
  }
  if ('start' in one) {
    parts.reached('Ready');
    return { code: 0, stdout: '' };
  }
  if ('terminate' in one) {
    parts.reached('Terminated');
    return { code: 0 };
  }
  const { entry_point, args, capture } = one.run;
  const ran = await parts.unit.run(entry_point, args ?? [], capture as Parameters<ExeUnit['run']>[2], said);
  const lie = parts.provider.faults.take('stdout');
  const stdout = lie === null ? ran.stdout : lie.with(ran.stdout);
  return exited(ran.code, { ...ran, stdout });
}

function exited(code: number, outcome: Outcome): Outcome {
  const { message: _, ...rest } = outcome;
  return code === 0
    ? { ...rest, code }
    : { ...rest, code, message: `ExeScript command exited with code ${code}` };
}
