import type { Field } from './field.ts';
import { quoted, refused } from './field.ts';

const BUILTIN = /^builtin:[a-z0-9][a-z0-9._-]{0,63}$/;
/** Wide enough for every registry reference; narrow enough that it can be no option or shell text. */
const REFERENCE = /^[A-Za-z0-9][A-Za-z0-9._/:@-]*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const CONTROL = /\p{Cc}/u;

/**
 * `image` and `tag` as one reference: `<registry reference>`, `oci:<path>` or `builtin:<name>`. A tag is joined to a
 * registry reference that has none; one that contradicts the image is an error.
 */
export function joinImage(
  image: Field & { value: string },
  tag: (Field & { value: string }) | undefined,
): string {
  const name = image.value;
  if (name.startsWith('builtin:') || name.startsWith('oci:')) {
    const wellFormed = name.startsWith('oci:') ? name.length > 4 && !CONTROL.test(name) : BUILTIN.test(name);
    if (!wellFormed) throw refused(image, `is no image: ${quoted(name)}`);
    if (tag !== undefined) throw refused(tag, `must be empty for ${quoted(name)}`);
    return name;
  }
  if (!REFERENCE.test(name)) throw refused(image, `is no image reference: ${quoted(name)}`);
  if (tag === undefined) return name;
  if (!TAG.test(tag.value)) throw refused(tag, `is no image tag: ${quoted(tag.value)}`);
  if (name.includes('@')) throw refused(tag, 'must be empty where the image names a digest');
  const own = /:([^/:]*)$/.exec(name)?.[1];
  if (own === undefined) return `${name}:${tag.value}`;
  if (own !== tag.value)
    throw refused(tag, `is ${quoted(tag.value)}, but the image names the tag ${quoted(own)}`);
  return name;
}
