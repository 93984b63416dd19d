import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocketServer, type WebSocket } from 'ws';
import { CliError } from '../failure.ts';
import type { JobAnswer } from '../http/answers.ts';
import { followJob, type FollowOptions, type Update } from './follow-job.ts';
import { allLogged } from './progress.ts';

/** A feed that a test holds in its hand: real sockets, scripted words. */
let http: Server;
let sockets: WebSocketServer;
let asked: URLSearchParams[];
let bearers: (string | undefined)[];
let onConnection: (socket: WebSocket, nth: number) => void;
let job: JobAnswer;
let reads: number;

beforeEach(async () => {
  asked = [];
  bearers = [];
  reads = 0;
  job = {
    status: 'running',
    job: { id: 'j' },
    executions: [{ id: 'e1', status: 'pending', region: 'US', index: 0 }],
  };
  http = createServer();
  sockets = new WebSocketServer({ server: http });
  sockets.on('connection', (socket, request) => {
    asked.push(new URL(request.url ?? '', 'ws://x').searchParams);
    bearers.push(request.headers.authorization);
    onConnection(socket, asked.length);
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
});
afterEach(() => {
  for (const socket of sockets.clients) socket.terminate();
  sockets.close();
  http.close();
});

function follow(options: Partial<FollowOptions> = {}): AsyncGenerator<Update, void> {
  return followJob({
    jobId: 'j',
    feedUrl: `ws://127.0.0.1:${(http.address() as AddressInfo).port}/ws`,
    read: async () => {
      reads += 1;
      return structuredClone(job);
    },
    signal: AbortSignal.timeout(10_000),
    ...options,
  });
}

async function collect(updates: AsyncGenerator<Update, void>): Promise<Update[]> {
  const all: Update[] = [];
  for await (const update of updates) all.push(update);
  return all;
}

const event = (type: string, fields: object = {}): string =>
  `${JSON.stringify({ type, job_id: 'j', execution_id: 'e1', ...fields })}\n`;

const types = (updates: Update[]): string[] =>
  updates.flatMap((update) => (update.kind === 'event' ? [update.event.type] : []));

test('follows events to the end of the job, however they were cut into messages', async () => {
  const text = [
    event('execution.started', { cursor: 'x.1' }),
    event('execution.completed', { cursor: 'x.2', duration_ms: 5, ipfs_cid: 'bafy' }),
    event('job.completed', { cursor: 'x.3', execution_id: undefined }),
  ].join('');
  onConnection = (socket) => {
    for (let at = 0; at < text.length; at += 17) socket.send(text.slice(at, at + 17));
  };
  const updates = await collect(follow());
  expect(types(updates)).toEqual(['execution.started', 'execution.completed', 'job.completed']);
  expect(updates.at(-1)?.progress.executions.get('e1')).toMatchObject({
    state: 'completed',
    durationMs: 5,
    cid: 'bafy',
  });
  expect(asked[0]?.get('job_id')).toBe('j');
});

test('asks for the feed as the operator when it has his token', async () => {
  onConnection = (socket) => socket.send(event('job.completed', { execution_id: undefined }));
  await collect(follow({ token: 'secret' }));
  await collect(follow());
  expect(bearers).toEqual(['Bearer secret', undefined]);
});

test('comes back with the cursor where it was cut off, and polls in between', async () => {
  onConnection = (socket, nth) => {
    if (nth === 1) {
      socket.send(event('execution.started', { cursor: 'x.7' }), () => socket.terminate());
    } else socket.send(event('job.failed', { cursor: 'x.8' }));
  };
  const updates = await collect(follow());
  expect(types(updates)).toEqual(['execution.started', 'job.failed']);
  expect(asked.map((query) => query.get('cursor'))).toEqual([null, 'x.7']);
  expect(reads).toBeGreaterThanOrEqual(3);
});

test('without a feed the job is polled to its end', async () => {
  onConnection = (socket) => socket.close(4429);
  const updates = await collect(
    follow({
      read: async () => {
        reads += 1;
        return reads < 4
          ? job
          : { ...job, status: 'completed', executions: [{ id: 'e1', status: 'completed' }] };
      },
    }),
  );
  expect(updates.some((update) => update.kind === 'connection' && update.state === 'polling')).toBe(true);
  expect(updates.at(-1)?.progress).toMatchObject({ state: 'completed' });
});

test('a cursor that is too old starts from what is kept', async () => {
  onConnection = (socket, nth) => {
    if (nth === 1) socket.send(event('execution.started', { cursor: 'old.1' }), () => socket.terminate());
    else if (nth === 2) {
      socket.send(`${JSON.stringify({ type: 'error', error_code: 'stale_cursor', floor: 'new.1' })}\n`);
      socket.close(4410);
    } else socket.send(event('job.completed'));
  };
  await collect(follow());
  expect(asked.map((query) => query.get('cursor') ?? query.get('from'))).toEqual(['start', 'old.1', 'start']);
});

test('an older event never turns back what a snapshot told', async () => {
  job = {
    status: 'running',
    job: { id: 'j' },
    executions: [{ id: 'e1', status: 'completed', region: 'US' }],
  };
  onConnection = (socket) => {
    socket.send(event('execution.placed') + event('execution.started') + event('job.completed'));
  };
  const updates = await collect(follow());
  expect(updates.at(-1)?.progress.executions.get('e1')?.state).toBe('completed');
});

test('waits for the log entries after the end when asked to', async () => {
  onConnection = (socket) => {
    socket.send(event('execution.completed') + event('job.completed'));
    socket.send(event('transparency.entry_appended', { log_index: 41 }));
  };
  const updates = await collect(follow({ settled: allLogged }));
  expect(updates.at(-1)?.progress.executions.get('e1')?.logIndex).toBe(41);
});

test('an unknown job ends following at once; Ctrl-C too', async () => {
  onConnection = () => undefined;
  const unknown = follow({ read: () => Promise.reject(new CliError('not_found', 'job not found')) });
  await expect(collect(unknown)).rejects.toMatchObject({ code: 'not_found' });

  const control = new AbortController();
  const updates = follow({ signal: control.signal });
  await updates.next();
  setImmediate(() => control.abort());
  await expect(collect(updates)).rejects.toMatchObject({ code: 'interrupted' });
});
