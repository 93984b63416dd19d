import type { Readable } from 'node:stream';
import { z } from 'zod';
import type { ErrorCode } from '../errors.ts';
import type { HeaderName } from './headers.ts';

declare module 'fastify' {
  interface FastifySchema {
    /** Codes that this route itself answers with; errors.ts adds those of every route. */
    errors?: readonly ErrorCode[];
    /** What it answers with besides the headers of every answer, by status. */
    answerHeaders?: Readonly<Record<number, readonly HeaderName[]>>;
  }
}

/** Answers are described by their schemas and never checked by them, so bytes may stand for what they hold. */
type Stored = z.ZodType<Buffer | Readable | string>;

/** An answer that is sent as it is stored or made, not written from a value; `schema` says what its bytes hold. */
export function stored(mediaType: string, description: string, schema: z.ZodType = z.string()) {
  return { description, content: { [mediaType]: { schema: schema as unknown as Stored } } };
}

/** Bytes of any kind, as OpenAPI 3.1 has them: a media type, and no schema that would ask for text. */
export function storedBytes(description: string, mediaType = 'application/octet-stream') {
  return stored(mediaType, description, z.unknown());
}

/** 304: the client has it already. */
export const unchanged = z.undefined().describe('What `If-None-Match` names is what stands here; no body.');
