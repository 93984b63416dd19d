/**
 * What providers boot for a job's image: a GVMI, which is no OCI image but can be made of one. It is named by the
 * operator's map, by the job itself (`hash:sha3:<sha3-224>:<url>`), or by a tag of the Golem registry. All is known before
 * anything costs.
 */
import { z } from 'zod';
import { Refusal } from '../refusal.ts';
import { DEFAULT_VOLUME, sha3, url, type ImageMap } from './image-map.ts';
import type { GolemSettings } from './settings.ts';

const HASH_IMAGE = /^hash:sha3:([0-9a-f]{56}):(https?:\/\/\S+)$/;
const DIGEST = /@(sha256:[0-9a-f]{64})$/;
const REGISTRY_WAIT_MS = 10_000;
const REGISTRY_ANSWER_BYTES = 64 * 1024;

export interface Gvmi {
  url: string;
  sha3: string;
  volume: string;
}

export interface AskedImage {
  image: string;
  imageDigest: string | null;
}

export type ImageSettings = Pick<GolemSettings, 'images' | 'registryUrl'>;

/** Throws a Refusal: `image_unavailable` when nothing is known of the image, which no other provider would mend. */
export async function resolveImage(asked: AskedImage, settings: ImageSettings): Promise<Gvmi> {
  const hashed = HASH_IMAGE.exec(asked.image);
  if (hashed !== null) return { sha3: hashed[1]!, url: hashed[2]!, volume: DEFAULT_VOLUME };
  const found = mapped(asked, settings.images);
  if (found === undefined)
    throw new Refusal(
      'image_unavailable',
      `no GVMI is known for ${asked.image}: it must stand in GOLEM_IMAGES`,
    );
  if ('url' in found) return { url: found.url, sha3: found.sha3_224, volume: found.volume };
  return { ...(await lookUp(found.tag, settings.registryUrl)), volume: found.volume };
}

/** The map by name first, then by digest; an image that names no digest may be a tag of the Golem registry. */
function mapped({ image, imageDigest }: AskedImage, images: ImageMap): ImageMap[string] | undefined {
  const digest = imageDigest ?? DIGEST.exec(image)?.[1];
  for (const key of [image, digest]) if (key !== undefined && Object.hasOwn(images, key)) return images[key];
  if (image.startsWith('golem:')) return { tag: image.slice('golem:'.length), volume: DEFAULT_VOLUME };
  return undefined;
}

const info = z.object({ sha3, http: url });

async function lookUp(tag: string, registryUrl: string | null): Promise<{ url: string; sha3: string }> {
  if (registryUrl === null)
    throw new Refusal('image_unavailable', `the image tag ${tag} cannot be looked up: no GOLEM_REGISTRY_URL`);
  const address = `${registryUrl.replace(/\/+$/, '')}/v1/image/info?count=true&tag=${encodeURIComponent(tag)}`;
  let answer: { status: number; text: string };
  try {
    const response = await fetch(address, { signal: AbortSignal.timeout(REGISTRY_WAIT_MS) });
    answer = { status: response.status, text: (await response.text()).slice(0, REGISTRY_ANSWER_BYTES) };
  } catch (cause) {
    throw new Refusal('backend_unavailable', `the Golem registry does not answer for ${tag}`, { cause });
  }
  if (answer.status >= 500)
    throw new Refusal('backend_unavailable', `the Golem registry answers ${answer.status} for ${tag}`);
  if (answer.status !== 200)
    throw new Refusal('image_unavailable', `the Golem registry knows no image ${tag} (${answer.status})`);
  const parsed = info.safeParse(parseJson(answer.text));
  if (!parsed.success)
    throw new Refusal('image_unavailable', `the Golem registry's answer for ${tag} names no image`);
  return { url: parsed.data.http, sha3: parsed.data.sha3 };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
