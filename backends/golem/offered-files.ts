/** Input and script for a provider to fetch, and a place for its result, at yagna's file transfer. */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { FileRefused, type Storage } from './storage.ts';

export interface OfferedFiles {
  /** Where a provider that is told fetches input and script, and brings the result. */
  addresses: Promise<{ input: string; script: string; result: string }>;
  /** Another place for the result, where nothing came to the one before; rejects when it was refused. */
  another(): Promise<string>;
  /** The result as it came in; rejects when it is not whole. */
  received(): Promise<string>;
  release(): Promise<void>;
}

/** For files that yagna is slow to make ready. */
const RELEASE_MS = 2_000;

/** Made ready while the image starts; no provider knows the addresses before the batch names them. */
export function offerFiles(
  storage: Storage,
  { input, script, folder }: { input: Uint8Array; script: string; folder: string },
): OfferedFiles {
  let places = 0;
  let file = '';
  const made: Promise<string>[] = [];
  const add = (address: Promise<string>): Promise<string> => {
    made.push(address);
    address.catch(() => undefined);
    return address;
  };
  const place = (): Promise<string> => {
    file = join(folder, `result-${++places}.tar`);
    return add(storage.receiveFile(file));
  };
  const forget = (): Promise<unknown> => storage.received(file).catch(() => undefined);
  const addresses = Promise.all([
    add(storage.publishData(input)),
    add(storage.publishData(Buffer.from(script))),
    place(),
  ]).then(([in_, script_, result]) => ({ input: in_, script: script_, result }));
  addresses.catch(() => undefined);
  return {
    addresses,
    async another() {
      await storage.received(file).catch((error: unknown) => {
        if (error instanceof FileRefused) throw error;
      });
      return place();
    },
    async received() {
      await storage.received(file);
      return file;
    },
    async release() {
      // One that yagna still owes then is given back with the connection.
      const late = delay(RELEASE_MS, [], { ref: false });
      const all = await Promise.race([Promise.allSettled(made), late]);
      await forget();
      await storage.release(all.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])));
    },
  };
}
