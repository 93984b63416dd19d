import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Gsb } from './gsb.ts';

/** GFTP over the service bus, from the provider's side. */
const CHUNK_BYTES = 40_960;
const metadata = z.object({ fileSize: z.coerce.number() });
const chunk = z.object({ content: z.instanceof(Uint8Array), offset: z.coerce.number() });

/** The address behind `gftp://{node}/{uuid}`; null for another URL. */
export function gftpAddress(url: string): string | null {
  const found = /^gftp:\/\/[^/]+\/([^/]+)$/.exec(url);
  return found === null ? null : `/public/gftp/${found[1]}`;
}

export async function fetchFile(gsb: Gsb, address: string): Promise<Buffer> {
  const { fileSize } = metadata.parse(await gsb.call(address, 'GetMetadata', {}));
  const file = Buffer.alloc(fileSize);
  for (let offset = 0; offset < fileSize; offset += CHUNK_BYTES) {
    const size = Math.min(CHUNK_BYTES, fileSize - offset);
    const got = chunk.parse(await gsb.call(address, 'GetChunk', { offset, size }));
    file.set(got.content.subarray(0, fileSize - got.offset), got.offset);
  }
  return file;
}

export async function sendFile(gsb: Gsb, address: string, file: Buffer, badHash: boolean): Promise<void> {
  for (let offset = 0; offset < file.length; offset += CHUNK_BYTES) {
    // A copy: FlexBuffers writes the whole memory behind a view.
    const content = Uint8Array.from(file.subarray(offset, offset + CHUNK_BYTES));
    await gsb.call(address, 'UploadChunk', { chunk: { offset, content } });
  }
  const hash = createHash('sha3-256').update(file).digest('hex');
  await gsb.call(address, 'UploadFinished', { hash: badHash ? hash.replace(/^./, 'x') : hash });
}
