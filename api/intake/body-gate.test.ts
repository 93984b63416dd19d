import { once } from 'node:events';
import net from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LIMITS } from '../../domain/limits.ts';
import { signedJob, testApi, testKey, type TestApi } from '../../test/support/api.ts';
import { eventually } from '../../test/support/eventually.ts';

let api: TestApi;
let port: number;
beforeAll(async () => {
  api = await testApi({ failuresPerMinute: { perAddress: 1, perAddressAndKey: 1 } });
  await api.app.listen({ port: 0, host: '127.0.0.1' });
  port = (api.app.server.address() as net.AddressInfo).port;
});
afterAll(() => api[Symbol.asyncDispose]());

/** One connection from `address` on loopback; what came back is read as text. */
async function connect(address: string) {
  const socket = net.connect({ port, host: '127.0.0.1', localAddress: address });
  await once(socket, 'connect');
  const said = { text: '', closed: false };
  socket.on('data', (chunk) => (said.text += chunk.toString()));
  socket.on('close', () => (said.closed = true));
  socket.on('error', () => undefined);
  return {
    said,
    send: (text: string) => socket.write(text),
    leave: () => socket.destroy(),
    /** The next answer, taken out of what was said. */
    answer: () =>
      eventually(() => {
        const match = /^HTTP\/1\.1 (\d+)[\s\S]*?\r\n\r\n(\{.*?\})$/.exec(said.text);
        if (match === null) return undefined;
        said.text = '';
        const [head, status, body] = match;
        return { head, status: Number(status), code: (JSON.parse(body!) as { code?: string }).code };
      }),
  };
}

const head = (...lines: string[]) =>
  ['POST /api/v1/jobs HTTP/1.1', 'Host: 127.0.0.1', 'Content-Type: application/json', ...lines, '', ''].join(
    '\r\n',
  );
const post = (body: string) => `${head(`Content-Length: ${Buffer.byteLength(body)}`)}${body}`;
const good = () => JSON.stringify(signedJob(testKey()));
const large = () =>
  JSON.stringify(signedJob(testKey(), { padding: 'x'.repeat(LIMITS.specVerifiedInlineBytes) }));

/** An address that failed as often as it may. */
async function blocked(address: string) {
  const client = await connect(address);
  client.send(post(JSON.stringify({ ...signedJob(testKey()), version: '9' })));
  expect(await client.answer()).toMatchObject({ status: 400, code: 'signature_mismatch' });
  return client;
}

test('an address that failed too often is answered before its body came, and may go on on its connection', async () => {
  const client = await blocked('127.0.0.2');
  const body = 'x'.repeat(LIMITS.bodyBytes);
  client.send(head(`Content-Length: ${body.length}`));
  const { head: answered, ...rest } = await client.answer();
  expect(rest).toEqual({ status: 429, code: 'rate_limit_exceeded' });
  expect(answered).toMatch(/^retry-after: \d+$/im);
  client.send(body);
  client.send('GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
  expect(await client.answer()).toMatchObject({ status: 200 });
  client.leave();
});

test('a body without a length is not read from it: the connection closes', async () => {
  const client = await blocked('127.0.0.3');
  client.send(`${head('Transfer-Encoding: chunked')}10\r\n`);
  expect(await client.answer()).toMatchObject({ status: 429, code: 'rate_limit_exceeded' });
  await eventually(() => client.said.closed || undefined);
});

test('while the places of an address are taken its next large body is told to come back, others go on', async () => {
  const clients = await Promise.all(Array.from({ length: 8 }, () => connect('127.0.0.4')));
  for (const [i, client] of clients.entries()) {
    const framing = i % 2 === 0 ? `Content-Length: ${LIMITS.bodyBytes}` : 'Transfer-Encoding: chunked';
    client.send(head(framing));
  }
  const next = await connect('127.0.0.4');
  const submit = async (client: typeof next, body: string) => {
    client.send(post(body));
    return client.answer();
  };
  const refused = await eventually(async () => {
    const answer = await submit(next, large());
    return answer.code === 'intake_busy' ? answer : undefined;
  });
  expect(refused.status).toBe(429);
  expect(refused.head).toMatch(/^retry-after: 2$/im);
  expect(await submit(next, good())).toMatchObject({ status: 202 });
  const other = await connect('127.0.0.5');
  expect(await submit(other, large())).toMatchObject({ status: 202 });

  clients[0]!.leave();
  await eventually(async () => ((await submit(next, large())).status === 202 ? true : undefined));
  expect(await submit(next, large())).toMatchObject({ status: 202 });
  for (const client of [...clients, next, other]) client.leave();
});
