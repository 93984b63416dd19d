import { expect, test } from 'vitest';
import type { Accepted } from '../../domain/receipt/verdict.ts';
import { recordedIo } from '../../test/support/recorded-io.ts';
import { coloursFor } from '../text/colour.ts';
import { acceptedLines } from './verdict-lines.ts';

const plain = coloursFor(recordedIo({}).stdout, {});

const verdictOf = (outcomes: Accepted['executions'][number]['outcome'][]): Accepted => ({
  ok: true,
  kind: 'job',
  origin: 'log.example',
  treeSize: 1_200,
  root: '00',
  outcome: 'cancelled',
  jobId: 'job-1',
  receiptKeyIds: ['k'],
  executions: outcomes.map((outcome, at) => ({
    executionId: `e-${at}`,
    outcome,
    receiptCid: `b-${at}`,
    logIndex: at,
    keyId: 'k',
  })),
  notes: ['a note'],
});

test('a job of a thousand executions is told in lines that a terminal holds, and counts the rest', () => {
  const outcomes = Array.from({ length: 1_000 }, (_, at) => (at < 40 ? 'completed' : 'cancelled'));
  const lines = acceptedLines(verdictOf(outcomes), plain);
  expect(lines.length).toBeLessThanOrEqual(40);
  expect(lines).toContain('  receipts    1000 of 1000, signed by k');
  expect(lines.at(-2)).toBe('  and         970 more: 10 completed, 960 cancelled; --json lists all of them');
});

test('a job of some is told whole', () => {
  const lines = acceptedLines(verdictOf(Array.from({ length: 30 }, () => 'completed')), plain);
  expect(lines.filter((line) => line.startsWith('  execution '))).toHaveLength(30);
  expect(lines.join('\n')).not.toContain(' more: ');
});
