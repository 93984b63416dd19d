import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { bundleWorkflowCode, DefaultLogger, Runtime, Worker, type WorkflowBundle } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';

const HISTORIES = path.join(import.meta.dirname, '../histories');
const files = readdirSync(HISTORIES, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.json'),
);
const logger = new DefaultLogger('ERROR');
let workflowBundle: WorkflowBundle;

beforeAll(async () => {
  Runtime.install({ logger });
  workflowBundle = await bundleWorkflowCode({
    workflowsPath: path.join(import.meta.dirname, '../../workflows/index.ts'),
    logger,
  });
});

async function replay(history: object): Promise<unknown> {
  const { history: parsed, id } = history as { history: object; id: string };
  try {
    await Worker.runReplayHistory({ workflowBundle }, historyFromJSON(parsed), id);
    return undefined;
  } catch (error) {
    return error;
  }
}

const read = (file: string): { id: string; history: object } => ({
  id: JSON.parse(readFileSync(path.join(HISTORIES, file), 'utf8')).id as string,
  history: JSON.parse(readFileSync(path.join(HISTORIES, file), 'utf8')).history as object,
});

describe('recorded histories', () => {
  it('cover every terminal state of a job, its parts and the repair', () => {
    expect(files.map((file) => file.replace(/\.json$/, '')).sort()).toEqual(
      expect.arrayContaining([
        'job-part/completed',
        'job/cancelled',
        'job/cancelled-early',
        'job/completed',
        'job/completed-at-once',
        'job/completed-six',
        'job/expired',
        'job/failed',
        'job/fallback',
        'job/negotiated',
        'job/negotiated-cancelled',
        'job/negotiated-lost',
        'job/negotiated-nobody',
        'job/parts',
        'job/retried',
        'publish/completed',
        'repair/completed',
        'sweep/completed',
      ]),
    );
  });

  it.each(files)('%s replays', async (file) => {
    expect(await replay(read(file))).toBeUndefined();
  });

  it('do not replay when an activity has another name', async () => {
    const { id, history } = read('job/completed.json');
    const renamed = JSON.parse(JSON.stringify(history).replaceAll('"execute"', '"perform"')) as object;
    expect(String(await replay({ id, history: renamed }))).toMatch(/determinism/i);
  });
});
