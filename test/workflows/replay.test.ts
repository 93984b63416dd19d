import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { bundleWorkflowCode, DefaultLogger, Runtime, Worker, type WorkflowBundle } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';
import { traceSinks } from '../../worker/temporal-traces.ts';

const HISTORIES = path.join(import.meta.dirname, '../histories');
const files = readdirSync(HISTORIES, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.json'),
);
const logger = new DefaultLogger('ERROR');
const workflows = path.join(import.meta.dirname, '../../workflows');
/** With the interceptors that carry traces, as workers run it, and without, as it was before there were any. */
let workflowBundle: WorkflowBundle;
let plainBundle: WorkflowBundle;

beforeAll(async () => {
  Runtime.install({ logger });
  const workflowsPath = path.join(workflows, 'index.ts');
  const workflowInterceptorModules = [path.join(workflows, 'trace-context.ts')];
  workflowBundle = await bundleWorkflowCode({ workflowsPath, workflowInterceptorModules, logger });
  plainBundle = await bundleWorkflowCode({ workflowsPath, logger });
});

async function replay(
  history: { history: object; id: string },
  bundle: WorkflowBundle = workflowBundle,
): Promise<unknown> {
  const { history: parsed, id } = history;
  try {
    await Worker.runReplayHistory({ workflowBundle: bundle, sinks: traceSinks }, historyFromJSON(parsed), id);
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
        'job/traced',
        'publish/completed',
        'repair/completed',
        'sweep/completed',
      ]),
    );
  });

  it.each(files)('%s replays', async (file) => {
    expect(await replay(read(file))).toBeUndefined();
    expect(await replay(read(file), plainBundle)).toBeUndefined();
  });

  it('are one that carries a trace, and others that do not', () => {
    const traced = files.filter((file) =>
      readFileSync(path.join(HISTORIES, file), 'utf8').includes('_tracer-data'),
    );
    expect(traced).toEqual([path.join('job', 'traced.json')]);
  });

  it('do not replay when an activity has another name', async () => {
    const { id, history } = read('job/completed.json');
    const renamed = JSON.parse(JSON.stringify(history).replaceAll('"execute"', '"perform"')) as object;
    expect(String(await replay({ id, history: renamed }))).toMatch(/determinism/i);
  });
});
