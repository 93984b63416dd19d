import type { Field } from './field.ts';
import { quoted, refused } from './field.ts';

const BUILTIN = /^builtin:[a-z0-9][a-z0-9._-]{0,63}$/;
/** A tag of the Golem registry. */
const GOLEM_TAG = /^golem:[a-z0-9._-]{1,64}\/[a-z0-9._-]{1,64}:[A-Za-z0-9._-]{1,64}$/;
/** What Golem providers boot, by its hash. */
const GVMI = /^hash:sha3:[0-9a-f]{56}:https?:\/\/[^\s\p{Cc}]+$/u;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const HOST = /^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/;
const PORT = /^[0-9]{1,5}$/;
/** One part of a repository's path; `..` is none, so that a reference is a path of nothing else. */
const COMPONENT = /^[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*$/;
const DIGEST = /^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;
/** An engine takes it for the id of whatever image it holds. */
const BARE_ID = /^[0-9a-f]{64}$/;
/** As registries have it; of the name without tag and digest. */
const NAME_LENGTH = 255;
const CONTROL = /\p{Cc}/u;

/**
 * `image` and `tag` as one reference: `<registry reference>`, `oci:<path>`, `builtin:<name>`, or for Golem alone
 * `golem:<tag>` and `hash:sha3:<sha3-224>:<url>`. A tag is joined to a
 * registry reference that has none; one that contradicts the image is an error.
 */
export function joinImage(
  image: Field & { value: string },
  tag: (Field & { value: string }) | undefined,
): string {
  const name = image.value;
  if (name.startsWith('golem:') || name.startsWith('hash:sha3:')) {
    if (!GOLEM_TAG.test(name) && !GVMI.test(name)) throw refused(image, `is no image: ${quoted(name)}`);
    if (tag !== undefined) throw refused(tag, `must be empty for ${quoted(name)}`);
    return name;
  }
  if (name.startsWith('builtin:') || name.startsWith('oci:')) {
    const wellFormed = name.startsWith('oci:') ? name.length > 4 && !CONTROL.test(name) : BUILTIN.test(name);
    if (!wellFormed) throw refused(image, `is no image: ${quoted(name)}`);
    if (tag !== undefined) throw refused(tag, `must be empty for ${quoted(name)}`);
    return name;
  }
  if (!isRegistryReference(name)) throw refused(image, `is no image reference: ${quoted(name)}`);
  if (tag === undefined) return name;
  if (!TAG.test(tag.value)) throw refused(tag, `is no image tag: ${quoted(tag.value)}`);
  if (name.includes('@')) throw refused(tag, 'must be empty where the image names a digest');
  const own = /:([^/:]*)$/.exec(name)?.[1];
  if (own === undefined) return `${name}:${tag.value}`;
  if (own !== tag.value)
    throw refused(tag, `is ${quoted(tag.value)}, but the image names the tag ${quoted(own)}`);
  return name;
}

/** `[host[:port]/]path[:tag][@digest]`: no scheme, no address of version 6, no engine's transport with a path. */
export function isRegistryReference(text: string): boolean {
  const at = text.indexOf('@');
  if (at !== -1 && !DIGEST.test(text.slice(at + 1))) return false;
  const tagged = at === -1 ? text : text.slice(0, at);
  const colon = tagged.lastIndexOf(':');
  const hasTag = colon > tagged.lastIndexOf('/');
  if (hasTag && !TAG.test(tagged.slice(colon + 1))) return false;
  const name = hasTag ? tagged.slice(0, colon) : tagged;
  if (name.length > NAME_LENGTH || BARE_ID.test(name)) return false;
  const [first = '', ...rest] = name.split('/');
  const path = rest.length > 0 && namesHost(first) ? rest : [first, ...rest];
  return path.every((component) => COMPONENT.test(component));
}

/** What tells a registry's host from the first part of a path; docker.io is meant where there is none. */
function namesHost(first: string): boolean {
  const colon = first.indexOf(':');
  const host = colon === -1 ? first : first.slice(0, colon);
  if (!HOST.test(host) || (colon !== -1 && !PORT.test(first.slice(colon + 1)))) return false;
  return colon !== -1 || host.includes('.') || host === 'localhost' || host !== host.toLowerCase();
}
