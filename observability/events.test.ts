import { expect, test } from 'vitest';
import { createBusinessEvents } from './events.ts';
import { createLogger } from './log.ts';
import { createMetrics } from './metrics.ts';

function record() {
  const lines: string[] = [];
  const metrics = createMetrics();
  const log = createLogger('relay', 'debug', {
    destination: { write: (line) => void lines.push(line) },
  });
  return { lines, metrics, events: createBusinessEvents(log, metrics) };
}

async function value(
  metrics: ReturnType<typeof createMetrics>,
  name: string,
  labels: Record<string, string> = {},
): Promise<number | undefined> {
  const { values } = await metrics.shared.getSingleMetric(name)!.get();
  return values.find((found) => Object.entries(labels).every(([label, text]) => found.labels[label] === text))
    ?.value;
}

test('log lines are JSON with time, level and role, one a line', () => {
  const { lines, events } = record();
  events.jobAccepted({ jobId: 'a\nb', executions: 3, form: 'P1' });
  expect(lines).toHaveLength(1);
  expect(lines[0]!.indexOf('\n')).toBe(lines[0]!.length - 1);
  const parsed = JSON.parse(lines[0]!) as Record<string, unknown>;
  expect(parsed).toMatchObject({
    level: 'info',
    role: 'relay',
    msg: 'job accepted',
    job_id: 'a\nb',
    executions: 3,
  });
  expect(new Date(parsed.time as string).toISOString()).toBe(parsed.time);
});

test('the messages that runbooks search for stand in the log word by word', () => {
  const { lines, events } = record();
  events.outboxStarted();
  events.outboxEnqueueError({ jobId: 'j', kind: 'start', error: new Error('no answer') });
  events.outboxMarkError({ error: new Error('no row') });
  events.jobEnded({ jobId: 'j-1', status: 'failed', completed: 1, total: 6 });
  for (const [index, words] of [
    ['outbox publisher started'],
    ['outbox enqueue error', 'no answer'],
    ['outbox mark published error', 'no row'],
    ['job processed', 'j-1', 'failed'],
  ].entries()) {
    for (const word of words) expect(lines[index]).toContain(word);
  }
});

test('each event counts what it says', async () => {
  const { metrics, events } = record();
  events.outboxPublished(3);
  events.outboxEnqueueError({ jobId: 'j', kind: 'start', error: null });
  events.executionStarted({ executionId: 'e', jobId: 'j', attempt: 1, region: 'EU' });
  events.executionStarted({ executionId: 'e', jobId: 'j', attempt: 2, region: 'EU' });
  events.executionEnded({
    executionId: 'e',
    jobId: 'j',
    region: 'EU',
    outcome: 'failed',
    durationMs: 1_500,
    failure: { code: 'memory_limit', source: 'program' },
  });
  events.executionEnded({ executionId: 'f', jobId: 'j', region: null, outcome: 'expired', durationMs: null });
  events.jobStarted({ jobId: 'j', region: 'EU', waitedMs: -3 });
  events.httpAnswered({ path: '/api/v1/jobs', method: 'POST', status: 202, seconds: 0.004 });
  expect(await value(metrics, 'outbox_published_total')).toBe(3);
  expect(await value(metrics, 'outbox_publish_errors_total')).toBe(1);
  expect(await value(metrics, 'jobs_retried_total')).toBe(1);
  const failed = { region: 'EU', error_type: 'memory_limit', component: 'program' };
  expect(await value(metrics, 'runner_failures_total', failed)).toBe(1);
  expect(await value(metrics, 'http_requests_total', { path: '/api/v1/jobs', status: '202' })).toBe(1);
  const text = await metrics.shared.metrics();
  expect(text).toContain('runner_execution_duration_seconds_sum{region="EU",status="failed"} 1.5');
  expect(text).toContain('runner_queue_latency_seconds_sum{region="EU"} 0\n');
});

test('an event that cannot be recorded disturbs nobody', () => {
  const { events, lines } = record();
  events.outboxPublished(-1);
  events.httpAnswered(undefined as never);
  expect(lines).toHaveLength(2);
  for (const line of lines) expect(line).toContain('business event not recorded');
});
