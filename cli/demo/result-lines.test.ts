import { beforeAll, expect, test } from 'vitest';
import type { Accepted } from '../../domain/receipt/verdict.ts';
import { verifyBundle } from '../../domain/receipt/verify.ts';
import { recordedIo } from '../../test/support/recorded-io.ts';
import { signedJob } from '../../test/support/signed-job.ts';
import { coloursFor } from '../text/colour.ts';
import {
  answerLines,
  cautions,
  executionResults,
  resultLines,
  type ExecutionResult,
} from './result-lines.ts';

const io = recordedIo();
const screen = { io, colours: coloursFor(io.stdout, io.env) };
let results: ExecutionResult[];

beforeAll(async () => {
  const { job, trust, tools } = await signedJob();
  results = executionResults(job, verifyBundle(job, trust, tools) as Accepted);
});

test('a row tells region, provider, isolation, image, duration, CID, log index and verdict, from the receipt', () => {
  const [, row = ''] = resultLines(results, screen);
  expect(row).toMatch(/^US +local +process +sha256:(ab)+ +1[23] ms +bafkrei\w+ +1 +verified$/);
});

test('what was not isolated is said, and what was is not called so', () => {
  expect(cautions(results, screen).join('\n')).toContain('NOT ISOLATED');
  const boxed = results.map((result) => ({ ...result, isolation: 'bubblewrap', region_verified: true }));
  expect(cautions(boxed, screen)).toEqual([]);
});

test('a region that nobody verified is said to be one that was asked for', () => {
  const boxed = results.map((result) => ({ ...result, isolation: 'container' }));
  expect(cautions(boxed, screen).join('\n')).toMatch(/^REGIONS AS ASKED FOR/);
});

test('a region that a provider claimed is said to be no more than that', () => {
  const claimed = results.map((result) => ({ ...result, isolation: null, backend: 'golem' }));
  expect(cautions(claimed, screen).join('\n')).toMatch(/^REGIONS AS CLAIMED/);
});

test('several models are told apart', () => {
  const [us, eu] = results as [ExecutionResult, ExecutionResult];
  const two = [
    { ...us, model: 'a' },
    { ...eu, model: 'b', answer: us.answer },
  ];
  expect(resultLines(two, screen)[1]).toMatch(/^US +a +local/);
  expect(answerLines(two, screen)).toEqual(['Answers', '   US a, EU b: from US']);
});

test('regions with the same answer stand together', () => {
  const [us, eu, apac] = results as [ExecutionResult, ExecutionResult, ExecutionResult];
  const lines = answerLines(
    [us, { ...eu, answer: us.answer }, { ...apac, answer: null, failure: 'exit_nonzero' }],
    screen,
  );
  expect(lines).toEqual(['Answers', '   US, EU: from US', '   APAC: exit_nonzero']);
});
