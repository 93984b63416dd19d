/** HTTP/1.1 on the server's side with as little work of our own as can be: what is measured stands behind it. */
import net from 'node:net';

const HEAD_END = Buffer.from('\r\n\r\n');
const BACKLOG = 1_024;

/**
 * Listens on a free port of the loopback. For callers that wait for an answer before they ask again, and say the length of
 * what they send.
 *
 * @param {(request: { method: string, target: string, body: Buffer }, answer: (status: number, body: string | Uint8Array) => void) => void} serve
 * @returns {Promise<number>} The port.
 */
export async function serveBare(serve) {
  const server = net.createServer({ noDelay: true }, (socket) => {
    const answer = (status, body) => respond(socket, status, body);
    /** What came of a request that is not whole. */
    let begun;
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      const bytes = begun === undefined ? chunk : Buffer.concat([begun, chunk]);
      begun = undefined;
      const end = bytes.indexOf(HEAD_END);
      const head = end < 0 ? '' : bytes.toString('latin1', 0, end);
      const from = end + HEAD_END.length;
      const size = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
      if (end < 0 || bytes.length < from + size) {
        begun = bytes;
        return;
      }
      const [method = '', target = '/'] = head.slice(0, head.indexOf('\r\n')).split(' ');
      serve({ method, target, body: bytes.subarray(from, from + size) }, answer);
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', BACKLOG, () => resolve(undefined)));
  return /** @type {net.AddressInfo} */ (server.address()).port;
}

function respond(socket, status, body) {
  const head = `HTTP/1.1 ${status} -\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
  if (typeof body === 'string') socket.write(head + body);
  else socket.write(Buffer.concat([Buffer.from(head, 'latin1'), body]));
}
