import { createHash } from 'node:crypto';

/** What is stored under a hash is not what was stored there: a disk or a person changed it. It is never served. */
export class DamagedBytes extends Error {
  override name = 'DamagedBytes';
  /** The hash in hex, or a CID. */
  readonly address: string;

  constructor(address: string) {
    super(`the bytes stored under ${address} are damaged`);
    this.address = address;
  }
}

/** `bytes`, once they were hashed again; throws DamagedBytes when they are not those that `sha256` names. */
export function sound<T extends Uint8Array>(bytes: T, sha256: Uint8Array): T {
  if (createHash('sha256').update(bytes).digest().equals(sha256)) return bytes;
  throw new DamagedBytes(Buffer.from(sha256).toString('hex'));
}
