/** What an attempt says of itself in its trace; nothing where no traces are written. */
import { activeSpan, tracing, type Attributes, type Span } from '../observability/tracing.ts';
import type { ExecuteResult } from './execute.ts';

export interface Phases {
  /** What the attempt does now, as it tells Temporal. */
  enter(phase: string): void;
  end(): void;
}

const NOTHING: Phases = { enter: () => undefined, end: () => undefined };

/** A span for each phase of an attempt, under the activity's; what varies is cut off the name. */
export function tracePhases(backend: string): Phases {
  const traces = tracing();
  const attempt = activeSpan();
  if (traces === undefined || attempt === undefined) return NOTHING;
  const parent = attempt.traceparent;
  let now: string | undefined;
  let span: Span | undefined;
  return {
    enter(phase) {
      if (phase === now) return;
      now = phase;
      span?.end();
      const [, name = phase, detail] = /^([a-z ]+?)(?: with | \()(.+?)\)?$/.exec(phase) ?? [];
      span = traces.start(`${backend} ${name}`, {
        parent,
        attributes: {
          'beacon.phase': name,
          ...(detail === undefined ? {} : { 'beacon.phase.detail': detail }),
        },
      });
    },
    end() {
      span?.end();
      span = undefined;
    },
  };
}

/** A failed attempt is an error of its span, though its activity answers as it should. */
export function noteResult(result: ExecuteResult): ExecuteResult {
  const span = activeSpan();
  span?.set({ 'beacon.outcome': result.kind });
  if (result.kind === 'failed') span?.fail(result.code);
  else if (result.kind === 'lost') span?.fail('attempt_lost');
  return result;
}

/** Names under which others know the attempt. Tokens are no names. */
const OUTSIDE = ['container', 'allocation', 'demand', 'agreement', 'activity', 'batch'];

export function outsideIds(ids: Readonly<Record<string, string>>): Attributes {
  return Object.fromEntries(
    OUTSIDE.flatMap((kind) => (ids[kind] === undefined ? [] : [[`beacon.${kind}.id`, ids[kind]]])),
  );
}
