import { createServer } from 'node:net';

const LOOPBACK = '127.0.0.1';

/** Binds once to see whether a port is free; 0 asks the system for any. Resolves with the port or null. */
async function bindOnce(port: number): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', () => resolve(null));
    server.listen({ port, host: LOOPBACK, exclusive: true }, () => {
      const address = server.address();
      server.close(() => {
        if (address !== null && typeof address === 'object') resolve(address.port);
        else reject(new TypeError('a TCP server has a port'));
      });
    });
  });
}

export const portIsFree = async (port: number): Promise<boolean> => (await bindOnce(port)) !== null;

/**
 * Where ports are looked for: below what systems hand out to outgoing connections, so that a port that is remembered is
 * still free after a restart.
 */
const FIRST = 20_000;
const COUNT = 10_000;
const TRIES = 100;

/** The wanted port when it is free, else a free one that is not in `taken`. */
export async function freePort(wanted: number | undefined, taken: readonly number[] = []): Promise<number> {
  if (wanted !== undefined && !taken.includes(wanted) && (await portIsFree(wanted))) return wanted;
  for (let tries = 0; ; tries++) {
    const port = await bindOnce(tries < TRIES ? FIRST + Math.floor(Math.random() * COUNT) : 0);
    if (port !== null && !taken.includes(port)) return port;
  }
}
