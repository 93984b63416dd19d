import { expect, test } from 'vitest';
import { coloursFor } from '../text/colour.ts';
import { widthOf } from '../text/width.ts';
import { eventLine, progressLines } from './progress-lines.ts';
import { applyEvent, applySnapshot, newProgress, type JobProgress } from './progress.ts';

const plain = coloursFor({ write: () => undefined, isTty: false, columns: () => 80, rows: () => 24 }, {});
const CID = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';

function halfWay(): JobProgress {
  const progress = newProgress('j');
  applySnapshot(progress, {
    status: 'accepted',
    job: { id: 'j' },
    executions: ['US', 'EU', 'APAC'].map((region, index) => ({
      id: `e${index}`,
      status: 'pending',
      index,
      region,
      model_id: 'a-model-with-a-long-name',
      question_index: 0,
    })),
  });
  const say = (type: string, fields: object): void =>
    applyEvent(progress, { type, job_id: 'j', ...fields }, 1_000);
  say('job.started', {});
  say('execution.started', { execution_id: 'e0' });
  say('execution.started', { execution_id: 'e1' });
  say('execution.completed', {
    execution_id: 'e1',
    duration_ms: 1_234,
    ipfs_cid: CID,
    provider: 'prov\u001b[2J',
  });
  say('transparency.entry_appended', { execution_id: 'e1', log_index: 7 });
  say('execution.failed', { execution_id: 'e2', failure_code: 'exit_nonzero' });
  say('execution.completed', { job_id: 'another', execution_id: 'e0' });
  return progress;
}

test('the table tells state, time, address and log index of each, and sums up', () => {
  const lines = progressLines(halfWay(), 4_000, Infinity, plain).map((line) => line.trimEnd().split(/ {2,}/));
  expect(lines).toEqual([
    ['#', 'REGION', 'MODEL', 'Q', 'STATE', 'PROVIDER', 'TIME', 'CID', 'LOG', 'REMARK'],
    ['1', 'US', 'a-model-with-a-long-name', '1', 'running', '3 s'],
    [
      '2',
      'EU',
      'a-model-with-a-long-name',
      '1',
      'completed',
      'prov\\x1b[2J',
      '1.2 s',
      `${CID.slice(0, 9)}…${CID.slice(-9)}`,
      '7',
    ],
    ['3', 'APAC', 'a-model-with-a-long-name', '1', 'failed', 'exit_nonzero'],
    ['job j running: 1 running, 1 completed, 1 failed, 1 in the log'],
  ]);
});

test('no line is wider than the window, however narrow', () => {
  for (const width of [20, 40, 60, 79, 120]) {
    const table = progressLines(halfWay(), 4_000, width, plain).slice(0, -1);
    for (const line of table) expect(widthOf(line)).toBeLessThanOrEqual(width);
  }
});

test('each event is one harmless line for people, or none', () => {
  const progress = halfWay();
  const line = (type: string, fields: object = {}) =>
    eventLine({ type, job_id: 'j', execution_id: 'e1', ...fields }, progress);
  expect(line('job.accepted', { executions: 3 })).toBe('job j accepted, 3 executions');
  expect(line('execution.placed', { provider: null, backend: 'local' })).toContain('placed on local');
  expect(line('execution.completed', { duration_ms: 5, ipfs_cid: CID })).toContain(
    `completed in 5 ms ${CID}`,
  );
  expect(line('execution.failed', { failure_code: 'x\u001b[2J' })).toContain('failed: x\\x1b[2J');
  expect(line('execution.fallback', { from_region: 'US', to_region: 'EU' })).toContain('goes from US to EU');
  expect(line('transparency.entry_appended', { execution_id: null, log_index: 9 })).toContain('summary');
  expect(line('feed.ready')).toBeUndefined();
});
