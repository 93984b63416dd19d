/** HTTP/1.1 over kept connections with as little work of our own as can be: the load must not be the bottleneck. */
import net from 'node:net';

/** @typedef {{ status: number, body: string }} Answer */

/** The whole request as bytes. */
export function postRequest(/** @type {Buffer} */ body, target = '/api/v1/jobs', host = '127.0.0.1') {
  const head = `POST ${target} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), body]);
}

export const getRequest = (/** @type {string} */ target, host = '127.0.0.1') =>
  Buffer.from(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, 'latin1');

/**
 * One connection, one request at a time, opened (again) when it is needed.
 *
 * @param {{ port: number, host?: string, localAddress?: string, timeoutMs?: number }} options
 */
export function createConnection({ port, host = '127.0.0.1', localAddress, timeoutMs = 30_000 }) {
  /** @type {net.Socket | undefined} */
  let socket;
  /** @type {{ resolve(answer: Answer): void, reject(error: Error): void } | undefined} */
  let waiting;
  let received = '';

  function lost(/** @type {Error} */ error) {
    socket?.destroy();
    socket = undefined;
    received = '';
    const asked = waiting;
    waiting = undefined;
    asked?.reject(error);
  }

  function open() {
    const opened = net.connect({ port, host, noDelay: true, ...(localAddress && { localAddress }) });
    opened.setTimeout(timeoutMs, () => socket === opened && lost(new Error('timeout')));
    opened.on('error', (error) => socket === opened && lost(error));
    opened.on('close', () => socket === opened && lost(new Error('closed')));
    opened.on('data', (chunk) => {
      received += chunk.toString('latin1');
      const end = received.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = /\r\ncontent-length: (\d+)/i.exec(received);
      const size = end + 4 + Number(length?.[1] ?? 0);
      if (received.length < size) return;
      const answer = { status: Number(received.slice(9, 12)), body: received.slice(end + 4, size) };
      const closes = /\r\nconnection: close/i.test(received.slice(0, end));
      received = '';
      const asked = waiting;
      waiting = undefined;
      if (closes) lost(new Error('closed'));
      asked?.resolve(answer);
    });
    return opened;
  }

  return {
    /** @returns {Promise<Answer>} */
    ask: (/** @type {Buffer} */ request) =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        socket ??= open();
        socket.write(request);
      }),
    close() {
      waiting = undefined;
      socket?.destroy();
      socket = undefined;
    },
  };
}

/**
 * Connections that the server has accepted: Node accepts one in each turn of its event loop, so that hundreds which come
 * at once wait for seconds on a busy server, and it is that which would be measured.
 */
export async function acceptedConnections(
  /** @type {number} */ count,
  /** @type {{ port: number }} */ options,
) {
  const connections = Array.from({ length: count }, () => createConnection(options));
  await Promise.all(connections.map((connection) => connection.ask(getRequest('/health/live'))));
  return connections;
}
