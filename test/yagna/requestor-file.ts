import { createHash, randomUUID } from 'node:crypto';
import { encode, toObject } from 'flatbuffers/js/flexbuffers.js';
import { WebSocket } from 'ws';
import type { Yagna } from './yagna.ts';

/** One end of a file transfer on the requestor's side: gives a file, or takes one. */
export async function requestorService(yagna: Yagna, file: Buffer | null) {
  const id = randomUUID();
  const answer = await fetch(`${yagna.url}/gsb-api/v1/services`, {
    method: 'POST',
    headers: { authorization: `Bearer ${yagna.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ listen: { on: `/public/gftp/${id}`, components: [] } }),
  });
  const { servicesId } = (await answer.json()) as { servicesId: string };
  const socket = new WebSocket(
    `${yagna.url.replace('http', 'ws')}/gsb-api/v1/services/${servicesId}?authToken=${yagna.key}`,
    ['gsb+flexbuffers'],
  );
  const got: { offset: number; content: Uint8Array }[] = [];
  let hash: string | null = null;
  socket.on('message', (data: Buffer) => {
    const { id: call, component, payload } = toObject(new Uint8Array(data).buffer) as Frame;
    if (component === 'UploadChunk') got.push(payload.chunk);
    if (component === 'UploadFinished') hash = payload.hash;
    socket.send(encode({ id: call, payload: answerTo(component, payload, file) }));
  });
  return {
    url: `gftp://${yagna.identity}/${id}`,
    socket,
    received: () => Buffer.concat(got.map(({ content }) => content)),
    hashHolds: () =>
      hash ===
      createHash('sha3-256')
        .update(Buffer.concat(got.map((c) => c.content)))
        .digest('hex'),
    async release() {
      await fetch(`${yagna.url}/gsb-api/v1/services/${servicesId}`, {
        method: 'DELETE',
        headers: { authorization: `Bearer ${yagna.key}` },
      });
    },
  };
}

interface Frame {
  id: string;
  component: string;
  payload: {
    offset: number;
    size: number;
    chunk: { offset: number; content: Uint8Array };
    hash: string;
  };
}

function answerTo(component: string, payload: Frame['payload'], file: Buffer | null): unknown {
  if (file === null) return null;
  if (component === 'GetMetadata') return { fileSize: file.length };
  const { offset, size } = payload;
  return { offset, content: Uint8Array.from(file.subarray(offset, offset + size)) };
}
