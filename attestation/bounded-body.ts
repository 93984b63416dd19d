/** The body of an answer, inflated, as far as `maxBytes`: throws what `tooLarge` makes for a longer one and reads no more of it. */
export async function readBounded(
  { body }: Response,
  maxBytes: number,
  tooLarge = (): Error => new RangeError(`the answer is larger than ${maxBytes} bytes`),
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of (body ?? []) as AsyncIterable<Uint8Array>) {
    size += part.length;
    if (size > maxBytes) throw tooLarge();
    parts.push(part);
  }
  return Buffer.concat(parts, size);
}
