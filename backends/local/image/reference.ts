import { isRegistryReference } from '../../../domain/jobspec/image.ts';
import { Refusal } from '../../refusal.ts';

/** The three kinds of image that a job may name. */
export type ImageReference =
  | { kind: 'builtin'; name: string }
  | { kind: 'oci'; path: string; tag: string | null; digest: string | null }
  | { kind: 'registry'; reference: string };

const PROGRAM = /^[a-z0-9][a-z0-9-]{0,63}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

export function parseImage(image: string): ImageReference {
  if (image.startsWith('builtin:')) {
    const name = image.slice('builtin:'.length).replace(/:latest$/, '');
    if (!PROGRAM.test(name))
      throw new Refusal('image_unavailable', `there is no builtin program ${shown(name)}`);
    return { kind: 'builtin', name };
  }
  if (image.startsWith('oci:')) return parseLayout(image.slice('oci:'.length));
  if (!isRegistryReference(image))
    throw new Refusal('image_invalid', `${shown(image)} is no image reference`);
  return { kind: 'registry', reference: image };
}

function parseLayout(text: string): ImageReference {
  const at = text.lastIndexOf('@');
  if (at !== -1) {
    const digest = text.slice(at + 1);
    if (!DIGEST.test(digest)) throw new Refusal('image_invalid', `${shown(digest)} is no sha256 digest`);
    return { kind: 'oci', path: text.slice(0, at), tag: null, digest };
  }
  const colon = text.lastIndexOf(':');
  if (colon > text.lastIndexOf('/'))
    return { kind: 'oci', path: text.slice(0, colon), tag: text.slice(colon + 1), digest: null };
  return { kind: 'oci', path: text, tag: null, digest: null };
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 120));
}
