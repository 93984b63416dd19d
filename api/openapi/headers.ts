/** Headers that answers may carry, as the document describes them; keys are the names as they are sent. */
export const HEADERS = {
  'X-Request-ID': {
    description: 'The id of the request.',
    schema: { type: 'string' },
  },
  ETag: {
    description: 'Names these bytes for ever; send it as `If-None-Match`.',
    schema: { type: 'string' },
  },
  'Cache-Control': { description: 'How long the answer may be kept.', schema: { type: 'string' } },
  'Content-Disposition': {
    description: 'The answer is a file to be saved, never a page to be shown.',
    schema: { type: 'string' },
  },
  Location: { description: 'Where the job can be read.', schema: { type: 'string' } },
  'Retry-After': {
    description: 'Seconds after which another try can succeed.',
    schema: { type: 'integer', minimum: 0 },
  },
  'Accept-Encoding': { description: '`identity`.', schema: { type: 'string' } },
  'WWW-Authenticate': { description: '`Bearer`.', schema: { type: 'string' } },
  'X-Ipfs-Path': { description: 'What was asked for.', schema: { type: 'string' } },
  'X-Ipfs-Roots': {
    description: 'The CIDs of the root and of each name of the path.',
    schema: { type: 'string' },
  },
  'X-Ipfs-Cid': { description: 'The CID of the bytes.', schema: { type: 'string' } },
} as const satisfies Record<string, { description: string; schema: object }>;

export type HeaderName = keyof typeof HEADERS;

/** On every answer, so routes do not name it. */
export const EVERY_ANSWER: readonly HeaderName[] = ['X-Request-ID'];
