/** The operator's map from images of jobs to what providers boot. */
import { z } from 'zod';

const SHA3_224 = /^[0-9a-f]{56}$/;

/** Where the files of an attempt lie inside the image, which must be a VOLUME of it. */
export const DEFAULT_VOLUME = '/golem/work';

export const url = z.string().regex(/^https?:\/\/\S+$/, 'is not an http:// or https:// address');
export const sha3 = z.string().regex(SHA3_224, 'is not 56 hexadecimal digits');
const volume = z
  .string()
  .regex(/^(\/[A-Za-z0-9._-]+)+$/, 'is not an absolute path')
  .default(DEFAULT_VOLUME);
const entry = z.union(
  [
    z.strictObject({ url, sha3_224: sha3, volume }),
    z.strictObject({ tag: z.string().min(1).max(255), volume }),
  ],
  'is neither a right {"url", "sha3_224"} nor a right {"tag"}, each with "volume" or without',
);

/** Keys are images as a job names them, or `sha256:…` digests of them. */
export const imageMap = z.record(z.string(), entry);
export type ImageMap = z.infer<typeof imageMap>;
